import { describe, expect, test } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/host/limits.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { checkSnapshot } from '../../src/snapshot/restore.ts';
import { CoreRig } from '../harness/core-rig.ts';
import { hostOf } from '../harness/host.ts';
import { goOnAlike, hostFrom, textOf } from './restored.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents that are wrong have no type
type Json = any;

const PAGE = 4096;
const BASE = 0x100000;

/** Memory of every kind, each with a page that was written: private and shared, of a file, of a device. */
function rigOf(): CoreRig {
  const rig = new CoreRig('6.1');
  rig.do('create-device', { device: 'x0', kind: 'vfio-pci' });
  rig.do('open-container', { container: 'c0' });
  rig.do('open-group', { device: 'x0' });
  rig.do('set-container', { device: 'x0', container: 'c0' });
  rig.do('set-iommu', { type: 3 });
  rig.do('open-device', { device: 'x0' });
  const regions: Record<string, unknown>[] = [
    { kind: 'shared', prot: 3 },
    { kind: 'anonymous', prot: 3 },
    { kind: 'anonymous', prot: 1 },
    { kind: 'hugetlb', prot: 3, size: 0x200000, start: 0x400000 },
    { kind: 'file', prot: 1, openedForWrite: false },
    { kind: 'file', prot: 3, private: true },
    { kind: 'device', prot: 3, device: 'x0', offset: 0x1000 },
  ];
  // The last of them first: they are saved in the order of their addresses.
  for (const [i, region] of [...regions.entries()].reverse()) {
    const start = BASE + 0x10000 * i;
    const added = { process: 'p0', start, size: 2 * PAGE, ...region };
    rig.do('add-memory-region', added);
    if (region.prot === 3 && region.kind !== 'device') {
      rig.do('write-memory', {
        process: 'p0',
        vaddr: added.start + 5,
        data: Buffer.from([i + 1]).toString('base64'),
      });
    }
  }
  return rig;
}

const processOf = (rig: CoreRig) => JSON.parse(textOf(rig.host)).state.processes[0];

function spoiled(rig: CoreRig, spoil: (process: Json, state: Json) => void): string {
  const document = JSON.parse(textOf(rig.host));
  spoil(document.state.processes[0], document.state);
  return JSON.stringify(document);
}

test('regions are saved by address, each with its kind, its contents and what it may not do', () => {
  const { regions } = processOf(rigOf());
  expect(regions.map(({ start, kind = 'anonymous' }: Json) => `${start} ${kind}`)).toEqual([
    ...['0x100000 shared', '0x110000 anonymous', '0x120000 anonymous', '0x140000 file', '0x150000 file'],
    ...['0x160000 device', '0x400000 hugetlb'],
  ]);
  const field = (name: string) => regions.map((region: Json) => region[name] ?? null);
  expect(field('prot')).toEqual([3, 3, 1, 1, 3, 3, 3]);
  expect(field('shared')).toEqual([true, null, null, true, null, null, null]);
  expect(field('readOnlyFile')).toEqual([null, null, null, true, null, null, null]);
  expect(field('device')).toEqual([null, null, null, null, null, 'x0', null]);
  expect(field('from')[5]).toBe('0x1000');
  expect(field('store').filter((number: unknown) => number !== null)).toEqual([0, 1, 2]);
});

test('memory of every kind is there again, with what was written, and is used as before', () => {
  const read = (i: number) => ({ call: 'read-memory', process: 'p0', vaddr: BASE + 0x10000 * i, length: 16 });
  const write = (vaddr: number) => ({ call: 'write-memory', process: 'p0', vaddr, data: 'AAEC' });
  const map = (i: number, flags: number) => ({
    ...{ call: 'map-dma', container: 'c0', iova: 0x10000 * i, vaddr: BASE + 0x10000 * i },
    ...{ size: PAGE, flags },
  });
  goOnAlike(rigOf().host, [
    ...[0, 1, 2, 4, 5].map(read),
    ...[0, 1, 2, 4, 5].map((i) => write(BASE + 0x10000 * i)),
    ...[0, 1, 2, 4, 5, 6].flatMap((i) => [map(i, 1), map(i + 8, 3)]),
    { call: 'fork-process', process: 'p0', child: 'p1' },
    { call: 'write-memory', process: 'p1', vaddr: BASE, data: 'CQkJ' },
    read(0),
    { call: 'protect-memory-region', process: 'p0', start: BASE + 0x20000, size: PAGE, prot: 3 },
    write(BASE + 0x20000),
    { call: 'remove-memory-region', process: 'p0', start: BASE, size: PAGE },
    read(0),
    { call: 'close-device', device: 'x0' },
    { call: 'remove-memory-region', process: 'p0', start: BASE + 0x60000, size: 2 * PAGE },
    { call: 'close-device', device: 'x0' },
  ]);
});

test('a region that was read only when it was made, and may be written since, was never written', () => {
  const rig = rigOf();
  rig.do('protect-memory-region', { process: 'p0', start: BASE + 0x20000, size: PAGE, prot: 3 });
  const changed = processOf(rig).regions.filter(({ neverWritten }: Json) => neverWritten !== undefined);
  expect(changed).toMatchObject([{ start: '0x120000', prot: 3, neverWritten: true }]);
  goOnAlike(rig.host, [{ call: 'read-memory', process: 'p0', vaddr: BASE + 0x20000, length: 4 }]);
});

test('a process whose last region went has none, which is not all memory', () => {
  const rig = new CoreRig('6.1');
  expect(processOf(rig)).not.toHaveProperty('empty');
  rig.do('add-memory-region', { process: 'p0', start: 0, size: PAGE, prot: 3 });
  rig.do('remove-memory-region', { process: 'p0', start: 0, size: PAGE });
  expect(processOf(rig)).toMatchObject({ empty: true, regions: [], contents: [] });
  goOnAlike(rig.host, [{ call: 'read-memory', process: 'p0', vaddr: 0, length: 1 }]);
});

test('regions of a file of a device count as its users once', () => {
  const rig = rigOf();
  rig.do('add-memory-region', {
    ...{ process: 'p0', start: 0x900000, size: PAGE, prot: 3, kind: 'device', device: 'x0', offset: 0 },
  });
  rig.do('close-device', { device: 'x0' });
  expect(rig.host.machine.device('x0').openCount).toBe(1);
  goOnAlike(rig.host, [
    { call: 'remove-memory-region', process: 'p0', start: 0x900000, size: PAGE },
    { call: 'remove-memory-region', process: 'p0', start: BASE + 0x60000, size: 2 * PAGE },
    { call: 'unset-container', device: 'x0' },
  ]);
});

describe('a snapshot whose memory cannot be', () => {
  const region = (process: Json, kind: string) => process.regions.find((one: Json) => one.kind === kind);
  test.each<[string, string, (process: Json) => void]>([
    [
      'of a device that is not there',
      'is of a device, but names none',
      (p) => (region(p, 'device').device = 'x9'),
    ],
    ['of a device without a file', 'is of a device, but names none', (p) => delete region(p, 'device').file],
    [
      'of a file that is no device’s',
      'is 0, which is no file of a device',
      (p) => (region(p, 'device').file = 0),
    ],
    [
      'shared, without contents',
      'is of kind "shared", but has no store',
      (p) => {
        Object.assign(p.regions[1], { store: 0, from: '0x0' });
        delete region(p, 'shared').store;
      },
    ],
    [
      'with contents that are not there',
      'store is 9, which there is not',
      (p) => {
        Object.assign(p.regions[1], { store: 0, from: '0x0' });
        region(p, 'shared').store = 9;
      },
    ],
    ['a region over another', 'overlaps another region', (p) => (p.regions[1].start = '0x101000')],
    ['contents out of order', '/contents/1 must come after the one before it', (p) => p.contents.reverse()],
  ])('%s', (_, says, spoil) => {
    expect(() => hostFrom(spoiled(rigOf(), spoil))).toThrow(says);
  });

  test('regions in any order, if they do not overlap, are those in order', () => {
    const text = spoiled(rigOf(), (process) => process.regions.reverse());
    expect(textOf(hostFrom(text))).toBe(textOf(rigOf().host));
  });

  test.each([
    ['0xfffffffffffff000', true],
    ['0xffffffffffffe000', false],
  ])('contents from %s on of a file: beyond 2^64 is %j', (from, refused) => {
    const text = spoiled(rigOf(), (process) => (region(process, 'shared').from = from));
    if (refused) expect(() => hostFrom(text)).toThrow('from which size reaches beyond 2^64');
    else expect(() => hostFrom(text)).not.toThrow();
  });

  test('more pages than a process, or the host, may have', () => {
    const rig = new CoreRig('6.1');
    rig.do('fill-memory', { process: 'p0', vaddr: 0, length: 3 * PAGE, byte: 1 });
    const document = JSON.parse(textOf(rig.host));
    const restore = (limits: object) => {
      const host = hostOf(generationOf('6.1')!, { ...DEFAULT_LIMITS, ...limits });
      host.restore(checkSnapshot(document, 'body'), 'body');
    };
    expect(() => restore({ residentPages: 2 })).toThrow('has 3 pages; a process holds at most 2');
    expect(() => restore({ residentPages: 3 })).not.toThrow();
    expect(() => restore({ rigPages: 2 })).toThrow('has more pages than this host keeps with contents: 2');
    expect(() => restore({ rigPages: 3 })).not.toThrow();
  });
});

test('parameters are saved where they are not the usual ones, and are there again', () => {
  const rig = new CoreRig('6.1');
  const parameters = () => JSON.parse(textOf(rig.host)).state.parameters;
  for (const name of ['adviseNoCallback', 'allowUnsafeInterrupts', 'enableUnsafeNoiommuMode']) {
    expect(parameters()).not.toHaveProperty(name);
    rig.do('set-parameters', { [name]: true });
    expect(parameters()).toMatchObject({ [name]: true });
    expect(hostFrom(textOf(rig.host)).kernel).toMatchObject({ [name]: true });
  }
  goOnAlike(rig.host, []);
});
