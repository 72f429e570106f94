import { UsageError } from '../arguments.ts';

/** A device that a program is given: the arguments of its create-device, and what its folder below /sys says. */
export interface DeviceSpec {
  /** Arguments of create-device. */
  readonly create: Readonly<Record<string, unknown>>;
  /** What it is as a PCI device; only of those bound to vfio-pci. */
  readonly pci: PciSpec | null;
}

/** A conventional PCI device of one function. */
export interface PciSpec {
  /** Domain, bus, slot and function: `0000:01:00.0`. */
  readonly name: string;
  readonly vendor: number;
  readonly device: number;
  /** Size of BAR 0 in bytes, a power of two from 16 on; 0: it has none. */
  readonly bar0: number;
  /** Vectors of MSI: 0, or a power of two up to 32. */
  readonly msi: number;
}

/** QEMU's `edu`, which nobody's driver takes for something it is not. */
const VENDOR = 0x1234;
const DEVICE = 0x11e8;
const BAR0 = 0x10_0000;

const HELP = 'vfio-pci[:BDF][,key=value…], mdev:DRIVER[,key=value…], or a JSON object';

/** Arguments of create-device itself, which a SPEC of an mdev may give beside its driver's. */
const OF_DEVICE = ['device', 'group'];

/**
 * The devices that `--device SPEC` options ask for.
 *
 * @param noIommu whether PCI devices are without an IOMMU
 * @throws UsageError that names the SPEC and the rule
 */
export function parseDevices(specs: readonly string[], noIommu: boolean): DeviceSpec[] {
  return specs.map((spec, at) => parseDevice(spec, at, noIommu ? 'noiommu' : 'vfio-pci'));
}

function parseDevice(spec: string, at: number, pciKind: string): DeviceSpec {
  if (spec.startsWith('{')) return jsonDevice(spec, at);
  const [head = '', ...pairs] = spec.split(',');
  const [kind, name] = splitOnce(head, ':');
  const keys = new Map(pairs.map((pair) => splitOnce(pair, '=') as [string, string | undefined]));
  for (const [key, value] of keys) {
    if (key === '' || value === undefined) throw wrong(spec, `"${key}" is not key=value`);
  }
  const given = keys as Map<string, string>;
  if (kind === 'vfio-pci') return pciDevice(spec, name, given, at, pciKind);
  if (kind === 'mdev' && name) return mdev(name, given);
  throw wrong(spec, `it must be ${HELP}`);
}

function jsonDevice(spec: string, at: number): DeviceSpec {
  let create: Record<string, unknown>;
  try {
    create = JSON.parse(spec) as Record<string, unknown>;
  } catch (error) {
    throw wrong(spec, (error as Error).message);
  }
  if (create.kind !== 'vfio-pci' && create.kind !== 'noiommu') return { create, pci: null };
  const name = bdfOfId(String(create.device ?? '')) ?? defaultName(at);
  return {
    create: { device: idOfBdf(name), ...create },
    pci: { name, vendor: VENDOR, device: DEVICE, bar0: BAR0, msi: 1 },
  };
}

function pciDevice(
  spec: string,
  given: string | undefined,
  keys: Map<string, string>,
  at: number,
  kind: string,
): DeviceSpec {
  const name = given === undefined ? defaultName(at) : bdf(spec, given);
  const number = (key: string, fallback: number, rule: string, ok: (value: number) => boolean) => {
    const text = keys.get(key);
    keys.delete(key);
    if (text === undefined) return fallback;
    const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : Number.NaN;
    if (!ok(value)) throw wrong(spec, `${key} is "${text}", but must be ${rule}`);
    return value;
  };
  const powerOfTwo = (value: number) => value > 0 && 2 ** Math.round(Math.log2(value)) === value;
  const bar0 = number(
    'bar0',
    BAR0,
    '0 or a power of two from 16 to 2^31',
    (v) => v === 0 || (powerOfTwo(v) && v >= 16 && v <= 2 ** 31),
  );
  const msi = number('msi', 1, '0 or a power of two up to 32', (v) => v === 0 || (powerOfTwo(v) && v <= 32));
  const [vendor, device] = pciId(spec, keys.get('id'));
  keys.delete('id');
  const create = { device: idOfBdf(name), kind, ...Object.fromEntries(keys) };
  return { create, pci: { name, vendor, device, bar0, msi } };
}

function mdev(type: string, keys: Map<string, string>): DeviceSpec {
  const driver: Record<string, unknown> = { type };
  const create: Record<string, unknown> = {};
  for (const [key, value] of keys) {
    if (OF_DEVICE.includes(key)) create[key] = value;
    else driver[key] = plain(value);
  }
  return { create: { ...create, driver }, pci: null };
}

/** true, false, numbers, arrays and objects as JSON has them; everything else is a string. */
function plain(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function pciId(spec: string, text: string | undefined): [number, number] {
  if (text === undefined) return [VENDOR, DEVICE];
  const match = /^([0-9a-f]{4}):([0-9a-f]{4})$/i.exec(text);
  if (!match) throw wrong(spec, `id is "${text}", but must be VENDOR:DEVICE, four hex digits each`);
  return [Number.parseInt(match[1]!, 16), Number.parseInt(match[2]!, 16)];
}

function bdf(spec: string, text: string): string {
  const match = /^(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/i.exec(text);
  if (!match) throw wrong(spec, `"${text}" is not [DOMAIN:]BUS:SLOT.FUNCTION in hex`);
  const [, domain = '0000', bus, slot, fn] = match;
  return `${domain}:${bus}:${slot}.${fn}`.toLowerCase();
}

/** The n-th device's name where none was given: a bus of its own, as behind a root port. */
function defaultName(at: number): string {
  return `0000:${(at + 1).toString(16).padStart(2, '0')}:00.0`;
}

/** An id has no colons: `0000-01-00.0` is PCI device 0000:01:00.0. */
function idOfBdf(name: string): string {
  return name.replaceAll(':', '-');
}

function bdfOfId(id: string): string | null {
  return /^[0-9a-f]{4}-[0-9a-f]{2}-[01][0-9a-f]\.[0-7]$/.test(id) ? id.replaceAll('-', ':') : null;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}

function wrong(spec: string, why: string): UsageError {
  return new UsageError(`--device "${spec}": ${why}`);
}
