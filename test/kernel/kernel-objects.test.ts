import { describe, expect, test } from 'vitest';
import { GONE_MAX } from '../../schemas/kinds.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { ownGuestId } from '../../src/kernel/guest.ts';
import { eventOfReport, splatReport } from '../../src/kernel/splat-report.ts';
import { type StolenPin, StolenPins } from '../../src/kernel/stolen-pins.ts';
import { Task } from '../../src/kernel/task.ts';
import { Machine } from '../../src/machine/machine.ts';
import { CoreRig, rigAfter } from '../harness/core-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const create = (device: string, more: object = { driver: synthetic('ignore') }) => ({
  ...{ call: 'create-device', device },
  ...more,
});

describe('a kernel', () => {
  test('as it is booted: parameters, taint, warnings, one process', () => {
    const { kernel } = new Machine(generationOf('6.1')!);
    const { dmaEntryLimit, allowUnsafeInterrupts, enableUnsafeNoiommuMode } = kernel;
    expect([dmaEntryLimit, allowUnsafeInterrupts, enableUnsafeNoiommuMode]).toEqual([65535, false, false]);
    expect([kernel.warnOnPinnedUnmap, kernel.adviseNoCallback, kernel.hasWords]).toEqual([
      false,
      false,
      true,
    ]);
    expect([[...kernel.taint], kernel.firedOnce, [...kernel.processes.keys()]]).toEqual([[], [], ['p0']]);
    expect([kernel.deviceCount, kernel.callCount, kernel.processCount, kernel.mmCount]).toEqual([0, 0, 1, 1]);
  });

  test('devices of one group share it; a group whose devices are gone is another one afterwards', () => {
    const rig = new CoreRig();
    const pci = { kind: 'vfio-pci' };
    rig.inTurn([
      create('a', { ...pci, group: 'g9' }),
      create('b', { ...pci, group: 'g9' }),
      create('c', pci),
    ]);
    const groupOf = (id: string) => rig.host.machine.device(id).group;
    const group = groupOf('a');
    expect([groupOf('b') === group, groupOf('c') === group]).toEqual([true, false]);
    expect(group.devices.map(({ id }) => id)).toEqual(['a', 'b']);
    rig.do('remove-device', { device: 'a' });
    expect(group.devices.map(({ id }) => id)).toEqual(['b']);
    rig.do('remove-device', { device: 'b' });
    rig.inTurn([create('d', { ...pci, group: 'g9' })]);
    expect(groupOf('d')).not.toBe(group);
  });

  test('the devices that were removed last are known, each name once', () => {
    const rig = new CoreRig();
    const remove = (device: string) => rig.inTurn([create(device), { call: 'remove-device', device }]);
    const gone = () => [...rig.host.kernel.gone.keys()];
    for (const device of ['a', 'b', 'a']) remove(device);
    expect(gone()).toEqual(['b', 'a']);
    const device = rig.host.kernel.gone.get('a')!;
    for (let i = 2; i < GONE_MAX; i++) rig.host.kernel.gone.set(`x${i}`, device);
    remove('last');
    expect([gone().length, gone()[0], gone().at(-1)]).toEqual([GONE_MAX, 'a', 'last']);
  });

  test('who has a device’s vCPUs: its guest, or who had it last, or its own', () => {
    const { kernel } = rigAfter('6.1', [create('d7')]).host;
    const device = kernel.devices.get('d7')!;
    const guests = () => [kernel.guestOf(device), kernel.vcpuGuest(device)];
    expect(guests()).toEqual([7, 7]);
    kernel.giveTo(device, 3);
    expect(guests()).toEqual([3, 3]);
    kernel.giveTo(device, null);
    expect(guests()).toEqual([null, 3]);
    kernel.giveTo(device, null);
    expect(guests()).toEqual([null, 3]);
    device.group.lastGuest = null;
    expect(guests()).toEqual([null, 7]);
  });

  test('an mdev that is closed is told, a device behind the IOMMU is not', () => {
    const rig = new CoreRig('6.1', { d0: synthetic('ignore') });
    rig.inTurn([
      create('pci', { kind: 'vfio-pci' }),
      { call: 'open-group', device: 'pci' },
      { call: 'set-container', device: 'pci', container: 'c0' },
      { call: 'open-device', device: 'pci' },
    ]);
    expect(rig.do('close-device', { device: 'pci' })).toEqual({});
    expect(rig.do('close-device', { device: 'd0' })).toEqual({ closedDevices: ['d0'] });
  });

  test('what it takes of what all kernels may have is given back when it is given up', () => {
    const rig = rigAfter('6.1', [{ call: 'fill-memory', process: 'p0', vaddr: 0, length: 1, byte: 1 }]);
    const { pages, dirtyBitmaps } = rig.host.kernel;
    expect([pages.used, dirtyBitmaps.used]).toEqual([1, 0]);
    rig.host.kernel.closeBudgets();
    expect(pages.used).toBe(0);
    rig.ask({ call: 'fill-memory', process: 'p0', vaddr: 0x1000, length: 1, byte: 1 });
    expect(pages.used).toBe(0);
  });
});

test('a process by its name and number on the console', () => {
  const { kernel } = rigAfter('6.1', [{ call: 'create-process', process: 'a-name-of-more-than-15' }]).host;
  const shown = Array.from(kernel.processes.values(), ({ comm, pid }) => [comm, pid]);
  expect(shown).toEqual([
    ['vfio-host', 1000],
    ['a-name-of-more-', 3048],
  ]);
});

test.each([
  ['d0', 0],
  ['d7', 7],
  ['d123456789', 123456789],
  ['d1234567890', 'd1234567890'],
  ['d07', 'd07'],
  ['d7x', 'd7x'],
  ['xd7', 'xd7'],
  ['gpu', 'gpu'],
])('the guest of its own of device %s is %s', (device, guest) => {
  expect(ownGuestId(device)).toBe(guest);
});

describe('a splat', () => {
  const task = () => new Task(new Machine(generationOf('6.1')!).kernel, 'test', undefined);

  test('says what it was about, and nothing of what it was not', () => {
    const one = task();
    one.warn('W6', { iova: 0x1000n, size: 0x2000n });
    one.warn('W6', { device: 'd0', container: 'c0', attempt: 3, pinCount: 2 });
    one.warn('W6', { pins: [{ iova: 16n, pfn: 255, refCount: 1, devices: [{ device: 'd0', count: 1 }] }] });
    const [first, ...rest] = one.splats.map(splatReport);
    const { iova, size, ...entry } = first!;
    expect([entry.kind, iova, size]).toEqual(['WARN_ON', '0x1000', '0x2000']);
    expect(rest).toStrictEqual([
      { ...entry, device: 'd0', container: 'c0', attempt: 3, pinCount: 2 },
      {
        ...entry,
        pins: [{ iova: '0x10', pfn: '0xff', refCount: 1, devices: [{ device: 'd0', count: 1 }] }],
      },
    ]);
  });

  test('is the same after its report was saved', () => {
    const one = task();
    const pins = [{ iova: 16n, pfn: 255, refCount: 1, devices: [{ device: 'd0', count: 1 }] }];
    one.warn('W6', {
      device: 'd0',
      container: 'c0',
      iova: 4096n,
      size: 8192n,
      attempt: 3,
      pinCount: 2,
      pins,
    });
    one.warn('W6', {});
    for (const event of one.splats) {
      const restored = eventOfReport(splatReport(event));
      expect([restored.entry, restored.details]).toEqual([event.entry, event.details]);
      expect(splatReport(restored)).toEqual(splatReport(event));
    }
  });

  test('taints: a warning W, a BUG_ON D; a once-only warning is printed once, or once for each caller', () => {
    const one = task();
    const { taint } = one.kernel;
    expect([...taint]).toEqual([]);
    one.warn('W6');
    expect([...taint]).toEqual(['W']);
    one.bugStep('B1', {});
    expect([...taint]).toEqual(['W', 'D']);
    for (const caller of ['a', 'b', 'a', undefined, undefined]) one.warn('W15', {}, caller);
    expect(one.kernel.firedOnce).toEqual(['W15', 'W15-a', 'W15-b']);
    expect(one.splats).toHaveLength(5);
    expect(() => one.warn('B1')).toThrow('B1 is not a warning');
  });

  test('of a kernel that has none is an error of ours', () => {
    const old = new Task(new Machine(generationOf('5.10')!).kernel, 'test', undefined);
    expect(() => old.warn('W15')).toThrow('Linux 5.10 has no W15');
  });
});

test('pins that begin in one page are taken back in any order', () => {
  const pins: StolenPin[] = [0, 8, 16].map((offset) => ({ device: 1, page: 5, offset, npage: 1 }));
  for (const order of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
    [1, 2, 0],
    [0, 2, 1],
    [2, 0, 1],
  ]) {
    const stolen = new StolenPins();
    for (const pin of pins) stolen.add(pin);
    const left = new Set(pins);
    for (const at of order) {
      stolen.delete(pins[at]!);
      left.delete(pins[at]!);
      expect(stolen.list()).toEqual([...left]);
      expect(stolen.within(1, 5, 1)).toMatchObject([...left]);
    }
    expect([...stolen.devices()]).toEqual([]);
  }
});
