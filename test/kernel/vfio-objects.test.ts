import { describe, expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import type { Task } from '../../src/kernel/task.ts';
import { History } from '../../src/kernel/vfio/history.ts';
import { rigAfter } from '../harness/core-rig.ts';
import { TYPE1_VERSIONS } from '../harness/kernels.ts';
import { CONTAINER, device, map, opened, pin, V2 } from '../refusals/refusals.ts';

describe('what a container remembers of its mappings', () => {
  const by = (call: string, number: number, id?: string) => ({ call, number, device: id }) as Task;

  test('the last one that was in a range, whichever end of it they share', () => {
    const history = new History();
    history.noteRemoval(by('unmap-dma', 7), 10, 4);
    history.noteRemoval(by('close-device', 8, 'd0'), 20, 2);
    const at = (start: number, end: number) => history.removedIn(start, end);
    const first = '0xa000+0x4000 was removed by unmap-dma (call 7)';
    const second = '0x14000+0x2000 was removed by close-device of d0 (call 8)';
    expect([at(9, 10), at(14, 20), at(22, 30), at(0, 5)]).toEqual(Array(4).fill(null));
    expect([at(9, 11), at(13, 14), at(10, 20), at(13, 20)]).toEqual(Array(4).fill(first));
    expect([at(20, 21), at(21, 30), at(0, 99)]).toEqual(Array(3).fill(second));
  });

  test('256 removals, the latest; and as many after a snapshot, in order', () => {
    const history = new History();
    for (let i = 0; i < 256; i++) history.noteRemoval(by('unmap-dma', i), i, 1);
    const at = (of: History, page: number) =>
      of.removedIn(page, page + 1)?.replace(/^.*\(call (\d+)\)$/, '$1');
    expect([at(history, 0), at(history, 255)]).toEqual(['0', '255']);
    for (let i = 256; i < 259; i++) history.noteRemoval(by('unmap-dma', i), i, 1);
    const pages = [0, 1, 2, 3, 255, 258];
    const seen = (of: History) => pages.map((page) => at(of, page));
    expect(seen(history)).toEqual([undefined, undefined, undefined, '3', '255', '258']);
    const saved = history.save()!;
    expect([saved.removals.length, saved.removals[0]!.number, saved.removals.at(-1)!.number]).toEqual([
      256, 3, 258,
    ]);
    const restored = new History();
    restored.restore(saved, 'history');
    expect([seen(restored), restored.save()]).toEqual([seen(history), saved]);
  });

  test('nothing is saved where there is nothing to tell; who did it and where it ends is', () => {
    const history = new History();
    expect(history.save()).toBeUndefined();
    history.noteRemoval(by('close-group', 3, 'd1'), 1, 2);
    history.noteRemoval(by('unmap-dma', 4), 5, 1);
    history.noteLoss(by('close-group', 5), ['d1'], 0);
    expect(history.save()).toEqual({
      removals: [
        { iova: '0x1000', size: '0x2000', call: 'close-group', device: 'd1', number: 3 },
        { iova: '0x5000', size: '0x1000', call: 'unmap-dma', number: 4 },
      ],
      lost: { devices: ['d1'], number: 5, mappings: 0 },
    });
    const beyond = { iova: '0xfffffffffffff000', size: '0x2000', call: 'unmap-dma', number: 1 };
    expect(() => new History().restore({ removals: [beyond], lost: null }, 'h')).toThrow(
      'h/removals/0/size reaches beyond 2^64',
    );
    expect(() =>
      new History().restore({ removals: [{ ...beyond, size: '0x1000' }], lost: null }, 'h'),
    ).not.toThrow();
  });

  test('how the IOMMU was lost, until there is one again', () => {
    const history = new History();
    expect(history.loss).toBeNull();
    history.noteLoss(by('close-group', 5), ['d1', 'd2'], 2);
    expect(history.loss).toBe('lost its IOMMU when d1 and d2 left (call 5), with its 2 mappings');
    history.noteLoss(by('close-group', 6), ['d1'], 0);
    expect(history.loss).toBe('lost its IOMMU when d1 left (call 6)');
    history.noteIommu();
    expect(history.loss).toBeNull();
  });
});

const join = (id: string): CallObject => ({ call: 'set-container', device: id, container: 'c0' });
const shared = (id: string, more: object = {}): CallObject => ({
  ...{ call: 'create-device', device: id, kind: 'vfio-pci', group: 'g9' },
  ...more,
});
const bind = (id: string, to: string): CallObject => ({ call: 'bind-device', device: id, to });

describe.each(TYPE1_VERSIONS)('a group of two devices on %s', (version) => {
  const claims = version !== '5.10';
  const open = { call: 'open-group', device: 'a' };

  test('one with a host driver among its devices: refused where user space would have its DMA', () => {
    const rig = rigAfter(version, [...CONTAINER, shared('a'), shared('b'), bind('b', 'other'), open]);
    const viable = (rig.ask({ call: 'group-status', device: 'a' }).body.flags as number) & 1;
    expect(viable).toBe(0);
    expect(rig.ask(join('a')).body.errno).toBe(claims ? 'EPERM' : undefined);
  });

  test('one that user space has gets no host driver: EBUSY, or a BUG_ON; the device is bound to nothing then', () => {
    const rig = rigAfter(version, [
      ...CONTAINER,
      shared('a'),
      shared('b'),
      bind('b', 'none'),
      open,
      join('a'),
    ]);
    const { body } = rig.ask(bind('b', 'other'));
    expect([body.errno, body.killed]).toEqual(claims ? ['EBUSY', undefined] : [undefined, true]);
    expect(rig.host.machine.device('b').boundTo).toBe('none');
    if (claims) expect(body.detail).toContain('it is in container c0');
  });

  test('one that nobody has gets it, and can be given back', () => {
    const rig = rigAfter(version, [shared('a'), shared('b'), open]);
    const bound = (to: string) => {
      rig.inTurn([bind('b', to)]);
      return rig.host.machine.device('b').boundTo;
    };
    expect(['vfio-pci', 'other', 'none', 'other', 'vfio-pci'].map(bound)).toEqual([
      'vfio-pci',
      'other',
      'none',
      'other',
      'vfio-pci',
    ]);
  });

  test('a group has a node while a device of it has a VFIO driver', () => {
    const rig = rigAfter(version, [shared('a'), shared('b'), bind('a', 'none')]);
    expect(rig.ask(open).body).not.toHaveProperty('errno');
    const none = rigAfter(version, [shared('a'), shared('b'), bind('a', 'none'), bind('b', 'other')]);
    expect(none.ask(open).body.errno).toBe('ENOENT');
  });

  test('a device that is bound to something else is not opened', () => {
    const rig = rigAfter(version, [...CONTAINER, shared('a'), shared('b'), open, join('a')]);
    rig.inTurn([{ call: 'set-iommu', container: 'c0', type: 3 }, bind('b', 'none')]);
    const { body } = rig.ask({ call: 'open-device', device: 'b' });
    expect([body.errno, body.detail]).toEqual([
      'ENODEV',
      expect.stringContaining('b is bound to nothing, not to vfio-pci'),
    ]);
    expect(rig.ask({ call: 'open-device', device: 'a' }).body).not.toHaveProperty('errno');
  });
});

test('what a device begins with: closed, listed, its memory answers, no request channel', () => {
  const rig = rigAfter('6.1', device('d0', null));
  const one = rig.host.machine.device('d0');
  expect([one.openCount, one.isBound, one.isListed, one.memoryEnabled, one.requests]).toEqual([
    0,
    true,
    true,
    true,
    null,
  ]);
  const { group } = one;
  expect([group.fdOpen, group.revoked, group.dmaOwnerClaimed, group.pinnedPageDirtyScope]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect([group.hasNode, group.viable, group.emulated, group.containerUsers]).toEqual([true, true, false, 0]);
});

test('a device that opens and closes counts in its group; the last close leaves the container where its file is closed', () => {
  const rig = rigAfter('6.1', V2);
  const { group } = rig.host.machine.device('d0');
  const users = () => [group.containerUsers, rig.host.machine.device('d0').openCount];
  expect(users()).toEqual([2, 1]);
  rig.do('open-device', { device: 'd0' });
  expect([users(), rig.errno('unset-container', { device: 'd0' })]).toEqual([[3, 2], 'EBUSY']);
  rig.do('close-group', { device: 'd0' });
  rig.do('close-device', { device: 'd0' });
  expect([users(), group.container?.id]).toEqual([[2, 1], 'c0']);
  rig.do('close-device', { device: 'd0' });
  expect([users(), group.container, group.fileOpen]).toEqual([[0, 0], null, false]);
});

test('the IOMMU of a container: one type at most, of a group, that some driver claims', () => {
  const set = (type: number, calls: readonly CallObject[]) =>
    rigAfter('6.1', calls).ask({ call: 'set-iommu', container: 'c0', type }).body.errno;
  expect(set(3, CONTAINER)).toBe('EINVAL');
  const group = [...CONTAINER, ...device('d0'), join('d0')];
  expect([1, 3, 6, 2, 5, 7, 8, 9].map((type) => set(type, group) ?? 'ok')).toEqual([
    'ok',
    'ok',
    'ok',
    'ENODEV',
    'ENODEV',
    'ENODEV',
    'ENODEV',
    'EINVAL',
  ]);
  expect(set(3, V2)).toBe('EINVAL');
});

test('a group whose attach fails takes those before it out again', () => {
  const noRemapping = { kind: 'vfio-pci', iommu: { preset: 'intel-39', interruptRemapping: false } };
  const rig = rigAfter('6.1', [
    ...CONTAINER,
    { call: 'create-device', device: 'a', ...noRemapping },
    { call: 'open-group', device: 'a' },
    ...device('b', null),
    ...[join('a'), join('b')],
  ]);
  const set = () => rig.ask({ call: 'set-iommu', container: 'c0', type: 3 }).body.errno ?? 'ok';
  const container = rig.host.machine.container('c0');
  // The group that joined last is attached first.
  expect(container.groups).toEqual([rig.host.machine.device('b').group, rig.host.machine.device('a').group]);
  expect([set(), container.view]).toEqual(['EPERM', null]);
  rig.do('set-parameters', { allowUnsafeInterrupts: true });
  expect([set(), container.view?.type]).toEqual(['ok', 3]);
});

describe('what a driver’s call is checked for before type1 sees it', () => {
  const pins = (npage: number, calls: readonly CallObject[] = [...V2, map(0x10000, 0x400000)]) =>
    rigAfter('6.1', calls).ask(pin(0x10000, npage)).body.errno ?? 'ok';

  test('a pin of no page, of 512, and of one more', () => {
    expect([0, 1, 512, 513, -1].map((npage) => pins(npage))).toEqual([
      'EINVAL',
      'ok',
      'ok',
      'E2BIG',
      'E2BIG',
    ]);
  });

  test('a pin of a device that is closed, or whose driver has no dma_unmap', () => {
    const closed = [...V2, map(0x10000, 0x1000), { call: 'close-device', device: 'd0' }];
    const deaf = [...CONTAINER, ...opened('d0', 3, 'no-callback'), map(0x10000, 0x1000)];
    expect([pins(1, closed), pins(1, deaf)]).toEqual(['EINVAL', 'EINVAL']);
  });

  test('an unpin of no page, or of more than 512, warns', () => {
    const unpin = (npage: number) => {
      const rig = rigAfter('6.1', [...V2, map(0x10000, 0x400000), pin(0x10000, 512)]);
      return (
        (rig.ask({ call: 'unpin-pages', device: 'd0', iova: 0x10000, npage }).body.log ?? []) as unknown[]
      ).length;
    };
    expect([0, 1, 512, 513].map(unpin)).toEqual([1, 0, 0, 1]);
  });

  test('a dma-rw of no byte, or of a device that is closed', () => {
    const rw = (length: number, calls: readonly CallObject[]) =>
      rigAfter('6.1', calls).ask({ call: 'dma-rw', device: 'd0', iova: 0x10000, write: false, length }).body
        .errno ?? 'ok';
    const good = [...V2, map(0x10000, 0x1000)];
    expect([rw(1, good), rw(4096, good), rw(4097, good)]).toEqual(['ok', 'ok', 'EINVAL']);
    expect(rw(1, [...good, { call: 'close-device', device: 'd0' }])).toBe('EINVAL');
  });
});

test('a request to give a device back is printed the first time, and each tenth', () => {
  const rig = rigAfter('6.1', [...CONTAINER, ...opened('d0', 3, null)]);
  rig.host.machine.device('d0').requests = 0;
  const removal = rig.host.start({ call: 'remove-device', device: 'd0' }, undefined, true);
  const printed = () => removal.lines().map((line) => ('text' in line ? line.text : ''));
  const request = (n: number) => `vfio-pci d0: Relaying device request to user (#${n})`;
  expect(printed()).toEqual([request(0)]);
  for (const milliseconds of [50_000, 49_999]) rig.do('sleep', { milliseconds });
  expect([printed(), rig.host.machine.device('d0').requests]).toEqual([[request(0)], 10]);
  rig.do('sleep', { milliseconds: 1 });
  expect(printed()).toEqual([request(0), request(10)]);
});
