import { readdirSync, readFileSync } from 'node:fs';
import type { CallObject } from '../../schemas/calls.ts';
import { REGION_TYPES } from '../../schemas/kinds.ts';

/** A device of a group, as a trace makes it. */
export interface GroupDevice {
  /** Its name in the kernel: `0000:01:00.0`, or a UUID. */
  readonly name: string;
  /** Its id in the trace. */
  readonly id: string;
  readonly create: CallObject;
}

const GROUPS = '/sys/kernel/iommu_groups';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * The devices of a group of this machine. What drives an mdev cannot be told from outside: it is a driver that gives
 * back what it is asked for.
 *
 * @param node the group below /dev/vfio: `12`, `noiommu-0`
 * @param addressWidth bits of addresses that its IOMMU translates; null: not known
 */
export function devicesOf(node: string, addressWidth: number | null): GroupDevice[] {
  const number = node.replace('noiommu-', '');
  const names = read(() => readdirSync(`${GROUPS}/${number}/devices`)) ?? [];
  const group = `g${number}`;
  return (names.length > 0 ? names : [`device-of-${group}`]).map((name) => {
    const id = name.toLowerCase().replace(/[^a-z0-9._-]/g, '-');
    const create = { call: 'create-device', device: id, group };
    if (UUID.test(name)) {
      return { name, id, create: { ...create, driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } } };
    }
    if (node !== number) return { name, id, create: { ...create, kind: 'noiommu' } };
    const reserved = reservedOf(number);
    const iommu = {
      ...(addressWidth === null ? {} : { addressWidth }),
      ...(reserved === null ? {} : { reserved }),
    };
    const known = Object.keys(iommu).length > 0 ? { iommu } : {};
    return { name, id, create: { ...create, kind: 'vfio-pci', ...known } };
  });
}

/** The regions that the IOMMU of a group keeps for itself; null where the kernel does not say. */
function reservedOf(number: string): { start: string; end: string; type: string }[] | null {
  const text = read(() => readFileSync(`${GROUPS}/${number}/reserved_regions`, 'utf8'));
  if (text === null) return null;
  return text.split('\n').flatMap((line) => {
    const [start = '', end = '', type = ''] = line.trim().split(/\s+/);
    return (REGION_TYPES as readonly string[]).includes(type)
      ? [{ start: short(start), end: short(end), type }]
      : [];
  });
}

function short(address: string): string {
  return `0x${BigInt(address).toString(16)}`;
}

function read<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
