import { describe, expect, test } from 'vitest';
import { CoreRig } from '../harness/core-rig.ts';
import { synthetic } from '../harness/test-rig.ts';
import { goOnAlike, hostFrom, textOf } from '../snapshot/restored.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents that are wrong have no type
type Json = any;

const VERSION = '6.12-iommufd';

/** Two mdevs with pins, one of them taken from d0 by d1; the second mapping may be read alone. */
function rigOf(): CoreRig {
  const rig = new CoreRig(VERSION, { d0: synthetic('ignore'), d1: synthetic('unpin-range') });
  rig.map(0x10000, 0x4000);
  rig.map(0x20000, 0x1000, { flags: ['read'] });
  rig.pin(0x10000, 'd0', 2);
  rig.pin(0x12000, 'd1');
  rig.pin(0x13000, 'd0');
  rig.do('unpin-pages', { device: 'd1', iova: 0x13000, npage: 1 });
  return rig;
}

const ioasOf = (rig: CoreRig) => JSON.parse(textOf(rig.host)).state.containers[0].ioas;
/** A snapshot of the host in which something is another. */
function spoiled(rig: CoreRig, spoil: (ioas: Json, state: Json) => void): string {
  const document = JSON.parse(textOf(rig.host));
  spoil(document.state.containers[0].ioas, document.state);
  return JSON.stringify(document);
}

test('pins, slots, what was stolen and what may be written are there again', () => {
  const rig = rigOf();
  expect(ioasOf(rig)).toMatchObject({
    accesses: [
      { device: 'd0', slot: 0, state: 'attached', lock: null },
      { device: 'd1', slot: 1, state: 'attached', lock: null },
    ],
    stolen: [{ device: 0, iova: '0x13000', npage: 1 }],
    areas: [
      { prot: 3, closed: false, pins: [{ npage: 2 }, { npage: 1 }] },
      { prot: 1, pins: [] },
    ],
  });
  goOnAlike(rig.host, [
    { call: 'dma-rw', device: 'd0', iova: 0x13000, write: false, length: 1 },
    { call: 'pin-pages', device: 'd0', iova: 0x20000, npage: 1, prot: 1 },
    { call: 'pin-pages', device: 'd0', iova: 0x20000, npage: 1, prot: 3 },
    { call: 'unmap-dma', container: 'c0', iova: 0x10000, size: 0x4000 },
    { call: 'close-device', device: 'd0' },
    { call: 'open-device', device: 'd0' },
  ]);
});

test('a slot that was left free is the next one’s again', () => {
  const rig = new CoreRig(VERSION, { d0: synthetic('ignore'), d1: synthetic('ignore') });
  rig.do('close-device', { device: 'd0' });
  expect(ioasOf(rig).accesses).toMatchObject([{ device: 'd1', slot: 1 }]);
  goOnAlike(rig.host, [{ call: 'open-device', device: 'd0' }]);
  expect(ioasOf(rig).accesses).toMatchObject([{ slot: 0 }, { slot: 1 }]);
});

test('mappings of half pages are there again while nothing needs whole ones', () => {
  const rig = new CoreRig(VERSION);
  rig.do('open-container', { container: 'c0' });
  rig.do('create-device', { device: 'd0', driver: synthetic('ignore') });
  rig.do('open-group', { device: 'd0' });
  rig.do('set-container', { device: 'd0', container: 'c0' });
  rig.map(0x800, 0x800);
  rig.map(0x1000, 0x400);
  goOnAlike(rig.host, [
    { call: 'open-device', device: 'd0' },
    { call: 'map-dma', container: 'c0', iova: 0x1400, vaddr: 0, size: 0x400, flags: 3 },
    { call: 'unmap-dma', container: 'c0', iova: 0x800, size: 0x800 },
  ]);
});

describe('a device whose last callback dies', () => {
  /** The close waits in it for ever: the access is detached, and its group’s lock is held. */
  function detached(): CoreRig {
    const rig = new CoreRig(VERSION, {
      d0: { ...synthetic('ignore'), bugOnInvalidation: true },
      d1: synthetic('unpin-range'),
    });
    rig.map(0x10000, 0x4000);
    rig.pin(0x10000, 'd0');
    expect(rig.reply('close-device', { device: 'd0' }).body.killed).toBe(true);
    return rig;
  }

  test('is detached, and so it is restored: nothing can be pinned, and no unmap calls it', () => {
    const rig = detached();
    expect(ioasOf(rig).accesses[0]).toMatchObject({ device: 'd0', slot: 0, state: 'detached' });
    goOnAlike(rig.host, [
      { call: 'pin-pages', device: 'd0', iova: 0x10000, npage: 1, prot: 3 },
      { call: 'unpin-pages', device: 'd0', iova: 0x10000, npage: 1 },
      { call: 'unmap-dma', container: 'c0', iova: 0x10000, size: 0x4000 },
      { call: 'close-device', device: 'd0' },
      { call: 'close-device', device: 'd1' },
    ]);
  });

  test.each([
    ['removed', 0],
    ['detached', 0],
    ['bound', null],
  ])('may be %s as well, with the slot %j', (state, slot) => {
    const text = spoiled(detached(), (ioas) => Object.assign(ioas.accesses[0], { state, slot }));
    expect(textOf(hostFrom(text))).toBe(text);
  });

  test.each([
    ['removed', null],
    ['bound', 0],
    ['bound', 5],
  ])('but not %s with the slot %j', (state, slot) => {
    const text = spoiled(detached(), (ioas) => Object.assign(ioas.accesses[0], { state, slot }));
    expect(() => hostFrom(text)).toThrow('accesses/0/slot must be null for "bound" alone');
  });
});

describe('what a snapshot may just say, and just not', () => {
  test('a slot below or at the number of devices there were', () => {
    const at = (slot: number) => spoiled(rigOf(), (ioas) => (ioas.accesses[1].slot = slot));
    expect(() => hostFrom(at(2))).not.toThrow();
    expect(() => hostFrom(at(3))).toThrow('accesses/1/slot is 3, more than there were devices');
  });

  test('a pin of 65536 pages', () => {
    const of = (npage: number) =>
      spoiled(rigOf(), (ioas) => {
        Object.assign(ioas.areas[1], { size: '0x20000000', prot: 3 });
        ioas.areas[1].pins = [{ iova: '0x20000', npage, holders: [[0, 1]] }];
      });
    expect(() => hostFrom(of(65_536))).not.toThrow();
    expect(() => hostFrom(of(65_537))).toThrow('pins/0/npage is 65537');
  });

  test.each<[string, string, (ioas: Json) => void]>([
    [
      'a lock of nobody',
      'accesses/0/lock must have',
      (ioas) => {
        const splat = { kind: 'BUG_ON', function: 'f', condition: 'c', file: 'x.c', line: 1 };
        ioas.accesses[0].lock = { owner: null, readers: [], splat };
      },
    ],
    [
      'stolen pins that differ in nothing',
      'stolen has "0 0x13000 1" twice',
      (ioas) => {
        ioas.stolen.push({ ...ioas.stolen[0] });
      },
    ],
    [
      'more stolen pins than are noted',
      'stolen',
      (ioas) => {
        ioas.stolen = Array.from({ length: 65_537 }, (_, i) => ({ device: 0, iova: '0x0', npage: i + 1 }));
      },
    ],
    [
      'a pin in a mapping of half pages',
      'areas/1 is not made of whole pages',
      (ioas) => {
        ioas.areas[1].size = '0x800';
      },
    ],
    [
      'a pin that begins before its mapping',
      'pins/0/iova is 0xf000',
      (ioas) => {
        ioas.areas[0].pins[0].iova = '0xf000';
      },
    ],
    [
      'a pin that ends behind it',
      'pins/2/iova is 0x13000',
      (ioas) => {
        ioas.areas[0].pins[2] = { iova: '0x13000', npage: 2, holders: [[0, 1]] };
      },
    ],
  ])('%s', (_, says, spoil) => {
    expect(() => hostFrom(spoiled(rigOf(), spoil))).toThrow(says);
  });

  test('stolen pins that differ in one of their fields', () => {
    const text = spoiled(rigOf(), (ioas) => {
      const [stolen] = ioas.stolen;
      ioas.stolen.push({ ...stolen, device: 1 }, { ...stolen, iova: '0x10000' }, { ...stolen, npage: 2 });
    });
    expect(JSON.parse(textOf(hostFrom(text))).state.containers[0].ioas.stolen).toHaveLength(4);
  });

  test('a mapping with pins that nothing else needs whole must be so all the same', () => {
    const rig = new CoreRig(VERSION, { d0: synthetic('ignore') });
    rig.map(0x10000, 0x1000);
    rig.pin(0x10000, 'd0');
    rig.do('close-device', { device: 'd0' });
    const at = (size: string) => spoiled(rig, (ioas) => (ioas.areas[0].size = size));
    expect(() => hostFrom(at('0x2000'))).not.toThrow();
    expect(() => hostFrom(at('0x1800'))).toThrow('is not made of whole pages');
  });
});
