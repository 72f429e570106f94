import { describe, expect, test } from 'vitest';
import { CoreRig } from '../harness/core-rig.ts';
import { CC, ccw, poke, READ, WRITE } from './channel-programs.ts';

const PROGRAM = 0x40000;

/** One mapping M = [0x10000, 0x20000), one with the channel program, and a CCW device with M's first page pinned. */
function running(drivers: Record<string, object>, version?: string): CoreRig {
  const rig = new CoreRig(version, drivers);
  rig.map(0x10000, 0x10000);
  rig.map(PROGRAM, 0x1000);
  poke(rig, PROGRAM, ccw(WRITE, 0, 0x100, 0x10000));
  rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
  expect(rig.pins()).toEqual([['0x10000', 1]]);
  return rig;
}

/** Devices in the order in which an unmap called them. */
function called(body: Record<string, unknown>): string[] {
  return (body.invalidations as { device: string }[]).map(({ device }) => device);
}

describe('drivers side by side', () => {
  const CCW = { type: 'vfio-ccw', variant: 'range' };
  const AP = { type: 'vfio-ap', variant: 'callback' };

  test('case 57: CCW opened first: AP releases its page while its I/O runs, and the kernel says nothing', () => {
    const rig = running({ ccw: CCW, ap: AP });
    const { status, body } = rig.unmap(0x10000, 0x10000);
    expect(status).toBe(200);
    expect(called(body)).toEqual(['ap', 'ccw']);
    expect(body).not.toHaveProperty('log');
    expect(body.advisories).toContainEqual(
      expect.objectContaining({ kind: 'FOREIGN_UNPIN', devices: ['ap', 'ccw'], iova: '0x10000' }),
    );
  });

  test('case 57: opened in the other order there is no hazard', () => {
    const rig = running({ ap: AP, ccw: CCW });
    const { status, body } = rig.unmap(0x10000, 0x10000);
    expect(status).toBe(200);
    expect(called(body)).toEqual(['ccw', 'ap']);
    const kinds = ((body.advisories ?? []) as { kind: string }[]).map(({ kind }) => kind);
    expect(kinds).not.toContain('FOREIGN_UNPIN');
  });

  test.each([
    ['ap', 'ccw', true],
    ['ccw', 'ap', false],
  ])('up to 5.19 the first opened is called first: %s, then %s: a hazard is %s', (one, two, hazard) => {
    const drivers = {
      ap: { type: 'vfio-ap', variant: 'notifier' },
      ccw: { type: 'vfio-ccw', variant: 'notifier' },
    };
    const order = [one, two] as ('ap' | 'ccw')[];
    const rig = running(Object.fromEntries(order.map((id) => [id, drivers[id]])), '5.10');
    const { status, body } = rig.unmap(0x10000, 0x10000);
    expect(status).toBe(200);
    expect(called(body)).toEqual(order);
    const kinds = ((body.advisories ?? []) as { kind: string }[]).map(({ kind }) => kind);
    expect(kinds.includes('FOREIGN_UNPIN')).toBe(hazard);
  });

  test('with two references on the key and another pin that stays, AP takes one a round', () => {
    const rig = running({ ccw: CCW, d: { type: 'synthetic', onDmaUnmap: 'ignore' }, ap: AP });
    for (let i = 0; i < 2; i++) rig.do('pin-pages', { device: 'd', iova: 0x10000, npage: 1, prot: 3 });
    rig.do('pin-pages', { device: 'd', iova: 0x15000, npage: 1, prot: 3 });
    rig.do('ccw-interrupt', { device: 'ccw' });
    expect(rig.pins()).toEqual([
      ['0x10000', 2],
      ['0x15000', 1],
    ]);
    const { status, body } = rig.unmap(0x10000, 0x10000);
    expect(status).toBe(409);
    expect(body.advisories).toContainEqual(
      expect.objectContaining({ kind: 'FOREIGN_UNPIN', devices: ['ap', 'd'], count: 2 }),
    );
    expect(rig.pins()).toEqual([['0x15000', 1]]);
  });

  test('a driver that resets for one mapping releases the pins its program has in others', () => {
    const rig = running({ ccw: CCW });
    rig.do('ccw-interrupt', { device: 'ccw' });
    rig.map(0x80000, 0x1000);
    poke(rig, PROGRAM, ccw(WRITE, CC, 0x100, 0x10000), ccw(READ, 0, 0x10, 0x80000));
    rig.do('ccw-start', { device: 'ccw', program: PROGRAM });
    rig.unmap(0x80000, 0x1000);
    expect(rig.pins()).toEqual([]);
  });
});

test('case 56: AP forgets nothing: disabling its queue takes the pin another device made there later', () => {
  const rig = new CoreRig('6.1', {
    ap: { type: 'vfio-ap', variant: 'callback' },
    d: { type: 'synthetic', onDmaUnmap: 'unpin-range' },
  });
  rig.map(0x10000, 0x10000);
  rig.do('ap-enable-interrupt', { device: 'ap', apqn: 1, nib: 0x10000, isc: 3 });
  expect(rig.unmap(0x10000, 0x10000).status).toBe(200);
  rig.map(0x10000, 0x10000, { vaddr: 0x90000 });
  rig.do('pin-pages', { device: 'd', iova: 0x10000, npage: 1, prot: 3 });
  const { log, advisories } = rig.do('ap-disable-interrupt', { device: 'ap', apqn: 1 });
  expect(log).toBeUndefined();
  expect(rig.pins()).toEqual([]);
  expect(advisories).toMatchObject([{ kind: 'FOREIGN_UNPIN', devices: ['ap', 'd'] }]);
});
