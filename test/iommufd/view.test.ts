import { expect, test } from 'vitest';
import { atOnce } from '../../src/turns.ts';
import { CoreRig } from '../harness/core-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

/** Mappings at 0x10000 (pinned: two pages by d0, one of them by d1 too), 0x20000 (pinned: one page) and 0x30000. */
function rigOf(): CoreRig {
  const rig = new CoreRig('6.12-iommufd', {
    d0: synthetic('ignore'),
    d1: synthetic('ignore'),
    d2: synthetic('no-callback'),
  });
  for (const iova of [0x10000, 0x20000, 0x30000]) rig.map(iova, 0x4000, { vaddr: iova + 0x100000 });
  rig.pin(0x11000, 'd0', 2);
  rig.pin(0x11000, 'd1');
  rig.pin(0x23000, 'd0');
  return rig;
}
const viewOf = (rig: CoreRig) => rig.host.machine.container('c0').view!;

test('mappings are shown lowest first, with their pins', () => {
  const rig = rigOf();
  const view = viewOf(rig);
  const pfn = (page: number) => rig.host.machine.process('p0').mm.pfnOf(page);
  expect([
    view.mappingCount,
    view.pinCount,
    view.dmaAvail,
    view.type,
    view.dirtyTracking,
    view.wedgedBy,
  ]).toEqual([...[3, 3, null, null, false, null]]);
  expect(view.attempts).toBe(101);
  expect(
    [...view.mappings()].map(({ iova, size, vaddr, prot, pinned, closed, vaddrInvalid }) => ({
      ...{ iova, size, vaddr, prot, pinned, closed, vaddrInvalid },
    })),
  ).toEqual(
    [0x10000n, 0x20000n, 0x30000n].map((iova, i) => ({
      ...{ iova, size: 0x4000n, vaddr: iova + 0x100000n, prot: 3, pinned: [3, 1, 0][i] },
      ...{ closed: false, vaddrInvalid: false },
    })),
  );
  const [first] = view.mappings();
  const once = (device: string) => [{ device, count: 1 }];
  expect([...first!.pins()]).toEqual([
    { iova: 0x11000n, pfn: pfn(0x111), refCount: 1, devices: once('d1') },
    { iova: 0x11000n, npage: 2, pfn: pfn(0x111), refCount: 1, devices: once('d0') },
  ]);
  expect(first).toMatchObject({ iommuMapped: false, owner: { id: 'p0' } });
});

test('devices are those that are called back', () => {
  expect(viewOf(rigOf()).devices).toEqual(['d0', 'd1']);
});

test('a page of mappings, and one of all their pins', () => {
  const view = viewOf(rigOf());
  const mappings = (skip: number, count: number) =>
    atOnce(view.mappingPage(skip, count)).map(({ iova }) => iova);
  expect(mappings(1, 1)).toEqual([0x20000n]);
  expect(mappings(2, 5)).toEqual([0x30000n]);
  const pins = (skip: number, count: number) =>
    atOnce(view.pinPage(skip, count)).map(({ iova, npage = 1 }) => [iova, npage]);
  expect(pins(1, 2)).toEqual([
    [0x11000n, 2],
    [0x23000n, 1],
  ]);
  expect(pins(3, 2)).toEqual([]);
});

test('pages are charged for pins, with a domain for everything; those of a process with CAP_IPC_LOCK are not', () => {
  const rig = rigOf();
  const locked = () => [...viewOf(rig).mappings()].map((mapping) => mapping.lockedPages());
  expect(locked()).toEqual([0, 0, 0]);
  rig.do('set-memlock', { process: 'p0', bytes: 0x100000 });
  rig.map(0x40000, 0x4000);
  rig.pin(0x41000, 'd0', 2);
  rig.pin(0x42000, 'd1', 2);
  expect(locked()).toEqual([0, 0, 0, 3]);
  rig.do('create-device', { device: 'x0', kind: 'vfio-pci' });
  rig.do('open-group', { device: 'x0' });
  rig.do('set-container', { device: 'x0', container: 'c0' });
  rig.do('open-device', { device: 'x0' });
  expect(locked()).toEqual([0, 0, 0, 4]);
  expect([...viewOf(rig).mappings()].every(({ iommuMapped }) => iommuMapped)).toBe(true);
});

test('which mapping has charged pages: of those that are pinned, among the first 128', () => {
  const rig = new CoreRig('6.12-iommufd', { d0: synthetic('ignore') });
  rig.do('set-memlock', { process: 'p0', bytes: 0x100000 });
  rig.map(0x10000, 0x4000, { vaddr: 0x200000 });
  rig.pin(0x11000, 'd0', 2);
  const at = (start: number, end: number) => viewOf(rig).chargedAt(start, end);
  const shown = '0x10000+0x4000';
  expect([at(0x200, 0x201), at(0x200, 0x202), at(0x201, 0x202), at(0x202, 0x300), at(0x203, 0x204)]).toEqual([
    ...[null, shown, shown, shown, null],
  ]);
  expect([at(0x1ff, 0x200), at(0x204, 0x208), at(0x100, 0x300)]).toEqual([null, null, shown]);
  const many = new CoreRig('6.12-iommufd', { d0: synthetic('ignore') });
  many.do('set-memlock', { process: 'p0', bytes: 0x100000 });
  const charged = (page: number) => viewOf(many).chargedAt(page, page + 1) !== null;
  for (let page = 0; page < 129; page++) many.map(page * 0x1000, 0x1000);
  for (const page of [127, 128]) many.pin(page * 0x1000, 'd0');
  expect([charged(127), charged(128)]).toEqual([true, false]);
});
