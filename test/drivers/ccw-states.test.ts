import { describe, expect, test } from 'vitest';
import { CoreRig, logOf } from '../harness/core-rig.ts';
import { CC, ccw, NOP, poke, READ, SUSPEND, TIC } from './channel-programs.ts';

const CALLBACK = ['6.1', '6.12', '7.2'];
const D0 = { device: 'd0' };
const AT = 0x40000;
const HELD = ccw(READ, SUSPEND, 0x10, 0x15000);
const ENDED = ccw(READ, 0, 0x10, 0x15000);

function rigOf(version: string, ...ids: string[]): CoreRig {
  const devices = ids.length > 0 ? ids : ['d0'];
  const rig = new CoreRig(version, Object.fromEntries(devices.map((id) => [id, { type: 'vfio-ccw' }])));
  rig.map(0x10000, 0x10000);
  rig.map(AT, 0x10000);
  return rig;
}
function start(rig: CoreRig, program: Buffer, more: object = {}): Record<string, unknown> {
  poke(rig, AT, program);
  return rig.do('ccw-start', { ...D0, program: AT, ...more });
}
const inject = (rig: CoreRig, operation: string, errno: string) =>
  rig.do('ccw-inject', { ...D0, operation, errno });
const state = (rig: CoreRig) =>
  rig.host.machine.device('d0').driver.state!(8) as {
    fsm: string;
    subchannel: { enabled: boolean; unregistering: string };
  };

describe('a program that is started without prefetching', () => {
  const WARNING = /Prefetching channel program even though prefetch not specified in ORB/;
  const orb = (pfch: boolean) => ({ orb: { pfch } });

  test.each(['5.10', ...CALLBACK])('%s: is warned of once for all devices of a host', (version) => {
    const rig = rigOf(version, 'd0', 'd1');
    expect(start(rig, ENDED, orb(true))).not.toHaveProperty('log');
    rig.do('ccw-interrupt', D0);
    expect(logOf(start(rig, ENDED, orb(false)))).toEqual([expect.stringMatching(WARNING)]);
    expect(start(rig, ENDED, { device: 'd1', ...orb(false) })).not.toHaveProperty('log');
  });

  test('5.10: and not where a program is there already: EBUSY', () => {
    const rig = rigOf('5.10');
    start(rig, HELD, orb(true));
    rig.do('ccw-reset', D0);
    const { body } = rig.reply('ccw-start', { ...D0, program: AT, ...orb(false) });
    expect([body.errno, body.log]).toEqual(['EBUSY', undefined]);
    rig.do('close-device', D0);
    rig.do('open-device', D0);
    rig.do('ccw-reset', D0);
    expect(logOf(start(rig, HELD, orb(false)))).toEqual([expect.stringMatching(WARNING)]);
  });
});

describe('a subchannel that is not operational any more', () => {
  test('5.10: the work of an interrupt that came before changes neither its state nor its pages', () => {
    const rig = rigOf('5.10');
    start(rig, ENDED);
    inject(rig, 'disable', 'ENODEV');
    expect(rig.errno('ccw-reset', D0)).toBe('ENODEV');
    expect(rig.do('ccw-run-work', D0)).toMatchObject({ ran: true, fsm: 'NOT_OPER', pinnedPages: 1 });
  });

  test.each(CALLBACK)('%s: it gives its pages back, and the user is asked to close the device', (version) => {
    const rig = rigOf(version);
    start(rig, HELD);
    inject(rig, 'disable', 'ENODEV');
    expect(rig.errno('ccw-reset', D0)).toBe('EINVAL');
    expect(state(rig).subchannel.unregistering).toBe('scheduled');
    const ran = rig.do('ccw-run-work', D0);
    expect(ran).toMatchObject({ fsm: 'NOT_OPER', pinnedPages: 0 });
    expect(logOf(ran)).toEqual([
      'vfio_ccw 0.0.0000: MDEV: Unregistering',
      expect.stringContaining('No device request channel registered'),
    ]);
    expect(state(rig).subchannel.unregistering).toBe('done');
    // Once it has begun it is not begun again.
    expect(rig.do('ccw-run-work', D0)).not.toHaveProperty('log');
    expect(rig.errno('create-device', { device: 'd0', driver: { type: 'vfio-ccw' } })).not.toBeNull();
  });

  test('5.10: its interrupt is disregarded, and the subchannel disabled', () => {
    const rig = rigOf('5.10');
    start(rig, HELD);
    inject(rig, 'disable', 'ENODEV');
    rig.errno('ccw-reset', D0);
    expect(state(rig).subchannel.enabled).toBe(true);
    expect(rig.do('ccw-interrupt', D0)).toMatchObject({ interrupts: 0, fsm: 'NOT_OPER' });
    expect(state(rig).subchannel.enabled).toBe(false);
  });

  test.each(CALLBACK)('%s: it does not open, and its FSM is not asked', (version) => {
    const rig = rigOf(version);
    rig.do('close-device', D0);
    inject(rig, 'enable', 'EIO');
    rig.errno('open-device', D0);
    const { body } = rig.reply('open-device', D0);
    expect([body.errno, body.fsmEvents]).toEqual(['EINVAL', undefined]);
  });

  test('I/O and asynchronous requests are refused with the state’s number', () => {
    const numbers = (version: string, prepare: (rig: CoreRig) => void) => {
      const rig = rigOf(version);
      prepare(rig);
      return ['ccw-start', 'ccw-halt', 'ccw-clear'].map((call) => {
        const { body } = rig.reply(call, { ...D0, ...(call === 'ccw-start' ? { program: AT } : {}) });
        return [body.errno, ...logOf(body)].join(': ');
      });
    };
    const lines = (number: number) =>
      ['I/O', 'halt', 'clear'].map((what) => `EIO: vfio-ccw: FSM: ${what} request from state:${number}`);
    expect(
      numbers('5.10', (rig) => {
        rig.do('close-device', D0);
        rig.do('open-device', D0);
      }),
    ).toEqual(lines(1));
    expect(
      numbers('6.1', (rig) => {
        inject(rig, 'disable', 'EIO');
        rig.errno('ccw-reset', D0);
      }),
    ).toEqual(lines(0));
  });
});

describe('a device that is removed', () => {
  test('5.10: once closed it leaves its subchannel as it was, and one of its name starts programs', () => {
    const rig = rigOf('5.10');
    for (const call of ['close-device', 'close-group', 'remove-device']) rig.do(call, D0);
    rig.attach('d0', { type: 'vfio-ccw' });
    rig.map(0x10000, 0x40000);
    expect(start(rig, HELD).fsm).toBe('CP_PENDING');
  });

  test('5.10: a subchannel that is disabled is not disabled once more', () => {
    const rig = new CoreRig('5.10', {});
    rig.do('create-device', { ...D0, driver: { type: 'vfio-ccw' } });
    rig.do('remove-device', D0);
    rig.attach('d0', { type: 'vfio-ccw' });
    inject(rig, 'disable', 'EIO');
    expect(rig.do('ccw-reset', D0).fsm).toBe('IDLE');
    expect(rig.errno('ccw-reset', D0)).toBe('EIO');
  });
});

describe('the program that a device has', () => {
  /** How the keys of a CCW’s data are listed. */
  function listed(version: string, driver: object): unknown {
    const rig = new CoreRig(version, { d0: { type: 'vfio-ccw', ...driver } });
    rig.map(0x10000, 0x10000);
    rig.map(AT, 0x10000);
    const { vfio } = start(rig, ccw(READ, SUSPEND, 0x10, 0x15800)) as { vfio: Record<string, unknown>[] };
    const { op, iova, iovas } = vfio.at(-1)!;
    return [vfio[0]!.op, op, iovas ?? iova];
  }

  test.each([
    ['5.10', {}, ['pin', 'pin', ['0x15000']]],
    ['5.10', { reads: 'dma-rw' }, ['dma-rw', 'pin', ['0x15000']]],
    ['6.0', {}, ['pin', 'pin', '0x15800']],
    ['6.0', { variant: 'range' }, ['pin', 'pin', '0x15800']],
    ['6.1', {}, ['pin', 'pin', '0x15800']],
    ['6.1', { reads: 'dma-rw' }, ['dma-rw', 'pin', '0x15800']],
    ['6.1', { variant: 'notifier' }, ['pin', 'pin', ['0x15000']]],
    ['6.12', {}, ['dma-rw', 'pin', '0x15800']],
    ['6.12', { variant: 'notifier' }, ['dma-rw', 'pin', ['0x15000']]],
    ['6.12', { variant: 'range', reads: 'pin' }, ['pin', 'pin', '0x15800']],
  ])('Linux %s, %j', (version, driver, expected) => {
    expect(listed(version, driver)).toEqual(expected);
  });
});

test.each(CALLBACK)('%s: signals of two devices in one task are told apart', (version) => {
  const rig = rigOf(version, 'd0', 'd1');
  start(rig, ENDED);
  start(rig, ENDED, { device: 'd1' });
  const first = rig.do('ccw-interrupt', D0);
  expect(first).toMatchObject({ interrupts: 1, interruptsSignalled: { d1: 1 } });
  expect(rig.do('ccw-interrupt', { device: 'd1' })).not.toHaveProperty('interruptsSignalled');
});

test('5.10: an interrupt of a program that goes round is that of its end', () => {
  const rig = rigOf('5.10');
  poke(rig, AT, ccw(NOP, CC, 0, 0), ccw(TIC, 0, 0, AT));
  rig.do('ccw-start', { ...D0, program: AT });
  expect(rig.do('ccw-no-interrupt', D0)).toMatchObject({ interrupts: 0, fsm: 'CP_PENDING' });
  expect(rig.do('ccw-interrupt', D0)).toMatchObject({ interrupts: 1, fsm: 'IDLE' });
});
