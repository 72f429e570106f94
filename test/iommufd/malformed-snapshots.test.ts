import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { Refused } from '../../src/machine/refused.ts';
import { checkSnapshot } from '../../src/snapshot/restore.ts';
import { newHost } from '../harness/host.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import { make, textOf } from '../snapshot/restored.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents that are wrong have no type
type Json = any;

const VERSION = '6.12-iommufd';
const map = (iova: number | string, size: number, container = 'c0', flags = 3): CallObject => ({
  ...{ call: 'map-dma', container, iova, vaddr: 0x200000, size, flags },
});
const open = (device: string, container: string, more: object): CallObject[] => [
  { call: 'create-device', device, ...more },
  { call: 'open-group', device },
  { call: 'set-container', device, container },
  { call: 'open-device', device },
];
const pin = (device: string, iova: number, npage: number): CallObject => ({
  ...{ call: 'pin-pages', device, iova, npage, prot: 3 },
});
const SYNTHETIC = { driver: { type: 'synthetic', onDmaUnmap: 'ignore' } };

/** c0 has two mdevs, mappings with pins, one of them closed, and a stolen pin; c1 a device behind the IOMMU. */
const CALLS: CallObject[] = [
  { call: 'open-container', container: 'c0' },
  { call: 'open-container', container: 'c1' },
  ...open('d0', 'c0', SYNTHETIC),
  ...open('d1', 'c0', SYNTHETIC),
  ...open('d2', 'c1', { kind: 'vfio-pci' }),
  map(0x10000, 0x4000),
  map(0x20000, 0x4000),
  map(0x30000, 0x1000),
  map(0x10000, 0x4000, 'c1'),
  pin('d0', 0x10000, 2),
  pin('d1', 0x10000, 2),
  pin('d0', 0x13000, 1),
  pin('d0', 0x20000, 1),
  { call: 'unmap-dma', container: 'c0', iova: 0x20000, size: 0x4000 },
  { call: 'unpin-pages', device: 'd1', iova: 0x13000, npage: 1 },
];

function fullHost() {
  const host = newHost(VERSION);
  for (const call of CALLS) make(host, call);
  return host;
}

const GOOD = textOf(fullHost());
const host = newHost(VERSION);
host.restore(checkSnapshot(JSON.parse(GOOD), 'body'), 'body');
const before = dumpKernel(host.kernel);

function refusal(document: Json): Refused {
  try {
    host.restore(checkSnapshot(document, 'body'), 'body');
  } catch (error) {
    if (error instanceof Refused) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

const ioas = (document: Json, at = 0) => document.state.containers[at].ioas;
const area = (document: Json, i = 0, at = 0) => ioas(document, at).areas[i];

/** What is wrong, what the refusal names, and how the document comes to be so. */
const WRONG: readonly (readonly [name: string, named: string, spoil: (document: Json) => void])[] = [
  ['no ioas at all', 'ioas is missing', (d) => delete d.state.containers[0].ioas],
  ['a null ioas in a container with a group', 'ioas is null', (d) => (d.state.containers[0].ioas = null)],
  ['a type1 instance', 'iommu', (d) => (d.state.containers[0].iommu = {})],
  ['an area within the one before', 'areas/1/iova', (d) => (area(d, 1).iova = '0x12000')],
  ['an area below the one before', 'areas/1/iova', (d) => (area(d, 1).iova = '0x1000')],
  ['an area of no size', 'areas/0/size', (d) => (area(d).size = '0x0')],
  ['an area beyond 2^64', 'areas/2/size', (d) => (area(d, 2).iova = '0xfffffffffffff800')],
  ['memory that reaches 2^64', 'areas/2/vaddr', (d) => (area(d, 2).vaddr = '0xfffffffffffff000')],
  ['half a page beside an mdev', 'whole pages', (d) => (area(d, 2).size = '0x800')],
  ['an area the IOMMU reserves', 'domain', (d) => (area(d, 0, 1).iova = '0xfee00000')],
  ['an area without permissions in a domain', 'domain', (d) => (area(d, 0, 1).prot = 0)],
  ['an area with other permissions', 'prot', (d) => (area(d).prot = 4)],
  ['a pin outside its area', 'pins/0/iova', (d) => (area(d).pins[0].iova = '0xf000')],
  ['a pin that sticks out of its area', 'pins/0/iova', (d) => (area(d).pins[0].npage = 5)],
  ['a pin of no page', 'pins/0/npage', (d) => (area(d).pins[0].npage = 0)],
  ['a pin of too many pages', 'pins/0/npage', (d) => (area(d).pins[0].npage = 65_537)],
  ['a pin twice', 'twice', (d) => area(d).pins.push(area(d).pins[0])],
  ['pins that are charged, of which no page is locked', 'lockedVm is 0', (d) => (area(d).accounted = true)],
  [
    'a domain that is charged, of which no page is locked',
    'lockedVm is 0',
    (d) => (area(d, 0, 1).accounted = true),
  ],
  ['a pin of nobody', 'holders', (d) => (area(d).pins[0].holders = [])],
  ['a pin of no device', 'is 9', (d) => (area(d).pins[0].holders[0][0] = 9)],
  ['a holder twice', 'twice', (d) => area(d).pins[0].holders.push(area(d).pins[0].holders[0])],
  ['a stolen pin of no device', 'stolen/0/device', (d) => (ioas(d).stolen[0].device = 9)],
  ['a stolen pin twice', 'twice', (d) => ioas(d).stolen.push(ioas(d).stolen[0])],
  ['an access of no device', '"d9"', (d) => (ioas(d).accesses[0].device = 'd9')],
  ['an access of a device behind the IOMMU', '"d2"', (d) => (ioas(d).accesses[0].device = 'd2')],
  ['an access of a device that is not open', '"d0"', (d) => (d.state.devices[0].openCount = 0)],
  ['an access twice', '"d0"', (d) => ioas(d).accesses.push(ioas(d).accesses[0])],
  ['two accesses in one slot', 'accesses/1/slot', (d) => (ioas(d).accesses[1].slot = 0)],
  ['a slot beyond every device', 'accesses/1/slot', (d) => (ioas(d).accesses[1].slot = 1000)],
  ['an attached access without a slot', 'accesses/0/slot', (d) => (ioas(d).accesses[0].slot = null)],
  ['an access that no call detaches', 'accesses/0/state', (d) => (ioas(d).accesses[0].state = 'detached')],
  ['an open device without an access', '"d1"', (d) => ioas(d).accesses.pop()],
  ['a device twice in the domain', '"d2"', (d) => ioas(d, 1).domainDevices.push('d2')],
  ['an mdev in the domain', '"d0"', (d) => (ioas(d, 1).domainDevices = ['d0'])],
  ['an open device missing from the domain', '"d2"', (d) => (ioas(d, 1).domainDevices = [])],
];

test.each(WRONG)('%s is refused, and nothing has changed', (_name, named, spoil) => {
  const document = JSON.parse(GOOD);
  spoil(document);
  const { kind, message } = refusal(document);
  expect(message).toContain(named);
  expect(message).toMatch(/^body/);
  expect(kind).toBe('invalid');
  expect(dumpKernel(host.kernel)).toEqual(before);
  expect(textOf(host)).toBe(GOOD);
});

/** Every place in a value: its holder and its key. */
function* places(value: Json): Generator<[Json, string]> {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    yield [value, key];
    yield* places(value[key]);
  }
}

test('whatever of an ioas is left out or of another type is refused', () => {
  const count = [...places(ioas(JSON.parse(GOOD)))].length;
  for (let i = 0; i < count; i++) {
    for (const value of [undefined, { not: 'this' }, -1.5]) {
      const document = JSON.parse(GOOD);
      const [holder, key] = [...places(ioas(document))][i]!;
      // An element of a list that is gone may leave a list that can be.
      if (value === undefined && Array.isArray(holder)) continue;
      if (value === undefined) delete holder[key];
      else holder[key] = value;
      expect(refusal(document).kind, `${key} ${JSON.stringify(value)}`).toBe('invalid');
    }
  }
  expect(count).toBeGreaterThan(50);
  expect(textOf(host)).toBe(GOOD);
});
