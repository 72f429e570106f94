import { describe, expect, test } from 'vitest';
import { Cio } from '../../src/drivers/vfio-ccw/cio.ts';
import { isFinal, isSolicited, type Scsw, Subchannel } from '../../src/drivers/vfio-ccw/subchannel.ts';

const IDLE: Scsw = { fctl: 0, actl: 0, stctl: 0, deviceStatus: 0, subchannelStatus: 0, count: 0, cc: 0 };
const NOP = 0x03;
const TIC = 0x08;
const SUSPEND = 0x02;
const CHAIN = 0x40;

/** A program of CCWs as command, flags, count and the index that a TIC leads to. */
function program(...ccws: [command: number, flags?: number, count?: number, to?: number][]) {
  return {
    at: (segment: number, index: number) => {
      const [command, flags = 0, count = 0, cda = 0] = ccws[index] ?? [];
      return segment === 0 && command !== undefined ? { command, flags, count, cda } : null;
    },
    target: (cda: number) => (cda < ccws.length ? { segment: 0, index: cda } : null),
  };
}

/** A subchannel in a state: new, with a program that is suspended, that goes round, or that has ended. */
function subchannel(state: 'new' | 'disabled' | 'suspended' | 'active' | 'ended'): Subchannel {
  const sch = new Subchannel(3, state !== 'disabled');
  if (state === 'suspended') sch.ssch(program([NOP, SUSPEND]), true, 0x80);
  if (state === 'active') sch.ssch(program([NOP, CHAIN], [TIC, 0, 0, 0]), true, 0x80);
  if (state === 'ended') sch.ssch(program([NOP]), true, 0x80);
  return sch;
}

test('each instruction’s condition code in each state', () => {
  const code = {
    ssch: (sch: Subchannel) => sch.ssch(program([NOP]), true, 0x80),
    hsch: (sch: Subchannel) => sch.hsch(),
    csch: (sch: Subchannel) => sch.csch(),
    xsch: (sch: Subchannel) => sch.xsch(),
    enable: (sch: Subchannel) => sch.msch(true),
    disable: (sch: Subchannel) => sch.msch(false),
  };
  const states = ['new', 'disabled', 'suspended', 'active', 'ended'] as const;
  const codes = Object.fromEntries(
    Object.entries(code).map(([name, run]) => [
      name,
      states.map((state) => run(subchannel(state))).join(' '),
    ]),
  );
  expect(codes).toEqual({
    ssch: '0 3 2 2 1',
    hsch: '0 3 0 0 1',
    csch: '0 3 0 0 0',
    xsch: '2 3 0 2 1',
    enable: '0 0 2 2 1',
    disable: '0 0 2 2 1',
  });
});

test('a refused instruction changes nothing, MSCH what it is for', () => {
  for (const state of ['disabled', 'suspended', 'active', 'ended'] as const) {
    const sch = subchannel(state);
    const before = sch.save();
    if (state !== 'disabled') expect(sch.msch(false)).not.toBe(0);
    expect(sch.ssch(program([NOP]), true, 0x80)).not.toBe(0);
    if (state !== 'suspended') expect(sch.xsch()).not.toBe(0);
    expect(sch.save(), state).toEqual(before);
  }
  const sch = subchannel('new');
  sch.msch(false);
  expect(sch.enabled).toBe(false);
});

test('HALT of what is halted already, or cleared, is busy', () => {
  const sch = subchannel('new');
  for (const fctl of [1, 2]) {
    sch.scsw = { ...IDLE, fctl };
    expect(sch.hsch(), String(fctl)).toBe(2);
    expect(sch.xsch(), String(fctl)).toBe(2);
  }
  sch.scsw = { ...IDLE, fctl: 4, actl: 0x20 };
  expect(sch.xsch()).toBe(0);
  expect(sch.scsw).toEqual(IDLE);
});

test('HALT of a program that is suspended says so, and that of another that the device has ended', () => {
  const shown = (state: 'suspended' | 'active') => {
    const sch = subchannel(state);
    sch.hsch();
    return sch.tsch();
  };
  expect(shown('suspended')).toEqual({ ...IDLE, fctl: 2, actl: 1, stctl: 1 });
  expect(shown('active')).toEqual({ ...IDLE, fctl: 2, stctl: 1, deviceStatus: 4 });
});

test('TEST SUBCHANNEL takes a status that is pending, and only such', () => {
  const sch = subchannel('ended');
  expect(sch.tsch()).toMatchObject({ fctl: 4, stctl: 7, deviceStatus: 0x0c });
  expect(sch.scsw).toEqual(IDLE);
  const held = subchannel('suspended');
  const before = { ...held.scsw };
  expect(held.tsch()).toEqual(before);
  expect(held.scsw).toEqual(before);
});

test('a program is finished where it runs, and nothing else is', () => {
  const finished = (state: 'new' | 'suspended' | 'active') => {
    const sch = subchannel(state);
    sch.finish();
    return sch.scsw;
  };
  expect(finished('new')).toEqual(IDLE);
  for (const state of ['suspended', 'active'] as const)
    expect(finished(state)).toEqual({ ...IDLE, fctl: 4, stctl: 7, deviceStatus: 0x0c });
  const halted = subchannel('active');
  halted.hsch();
  halted.finish();
  expect(halted.scsw).toMatchObject({ fctl: 2, stctl: 1 });
});

test('without a path a start is answered 0, and its status that there was none', () => {
  const sch = subchannel('new');
  expect(sch.ssch(program([NOP]), true, 0x7f)).toBe(0);
  expect(sch.scsw).toEqual({ ...IDLE, fctl: 4, actl: 0x20, stctl: 0x11, cc: 3 });
});

test('4096 CCWs are executed, one more is a program that never ends', () => {
  const ends = (count: number) => {
    const sch = subchannel('new');
    const nop = { command: NOP, flags: CHAIN, count: 0, cda: 0 };
    sch.ssch(
      {
        at: (_, index) => (index < count ? { ...nop, flags: index < count - 1 ? CHAIN : 0 } : null),
        target: () => null,
      },
      true,
      0x80,
    );
    return sch.statusPending;
  };
  expect([ends(4095), ends(4096), ends(4097)]).toEqual([true, true, false]);
});

test.each([
  ['nothing at its place', program()],
  ['no CCW behind one that is chained', program([NOP, CHAIN])],
  ['a TIC to nowhere', program([TIC, 0, 0, 9])],
  ['two TICs one after the other', program([TIC, 0, 0, 1], [TIC, 0, 0, 0])],
  ['a TIC with flags', program([TIC, CHAIN, 0, 1], [NOP])],
  ['a TIC with a count', program([TIC, 0, 1, 1], [NOP])],
  ['a CCW that suspends where that is not allowed', program([NOP, SUSPEND])],
  ['command 0', program([0x10])],
  ['a command that only looks like a TIC', program([0x18, 0, 0, 1], [NOP])],
  ['a MIDA list', program([NOP, 0x01])],
] as const)('%s is a program check', (_, asked) => {
  const sch = subchannel('new');
  sch.ssch(asked, false, 0x80);
  expect(sch.scsw).toMatchObject({ stctl: 0x17, subchannelStatus: 0x20, deviceStatus: 0 });
});

test('a subchannel is as new until anything of it tells that it was used', () => {
  expect([new Subchannel(0, true).isAsNew(true), new Subchannel(0, true).isAsNew(false)]).toEqual([
    true,
    false,
  ]);
  const changes: Partial<Subchannel>[] = [
    { lpm: 0 },
    { unregistering: 'scheduled' },
    { unregistering: 'done' },
    { scsw: { ...IDLE, fctl: 4 } },
    { scsw: { ...IDLE, stctl: 1 } },
    { enabled: false },
  ];
  for (const change of changes) {
    const sch = new Subchannel(0, true);
    Object.assign(sch, change);
    expect(sch.isAsNew(true), JSON.stringify(change)).toBe(false);
  }
});

test.each([
  [{ stctl: 0x11 }, false, true],
  [{ stctl: 0x11, cc: 3 }, true, true],
  [{ stctl: 0x01 }, true, true],
  [{ stctl: 0x07, actl: 0x01 }, true, true],
  [{ stctl: 0x07, actl: 0x02 }, true, false],
  [{ stctl: 0x07, actl: 0x04 }, true, false],
])('a status %j: solicited %j, final %j', (scsw, solicited, final) => {
  const status = { ...IDLE, ...scsw };
  expect([isSolicited(status), isFinal(status)]).toEqual([solicited, final]);
});

describe('the common I/O layer', () => {
  test('commits a change five times: a status in the way is lost, a function in progress is EBUSY', () => {
    const ended = new Cio(subchannel('ended'));
    expect([ended.disable(), ended.sch.enabled, ended.sch.scsw]).toEqual([null, false, IDLE]);
    const busy = new Cio(subchannel('active'));
    const { scsw } = busy.sch.save();
    expect([busy.disable(), busy.sch.enabled, busy.sch.scsw]).toEqual(['EBUSY', true, scsw]);
    const [codes, asked]: [number[], boolean[]] = [[1, 1, 1, 1, 1], []];
    const late = new Cio(subchannel('new'));
    late.sch.msch = (enabled) => {
      asked.push(enabled);
      return (codes.shift() ?? 0) as 0 | 1;
    };
    expect([late.enable(), asked.length, late.enable()]).toEqual(['EBUSY', 5, null]);
  });

  test.each([
    ['new', 'EBUSY', 2],
    ['disabled', null, 0],
    ['suspended', null, 0],
    ['active', 'EBUSY', 2],
    ['ended', 'EBUSY', 4],
  ] as const)('cancels, halts or clears what is %s: %j', (state, errno, fctl) => {
    const cio = new Cio(subchannel(state));
    expect(cio.cancelHaltClear()).toBe(errno);
    expect(cio.sch.scsw.fctl).toBe(fctl);
  });

  test('clears where a halt is busy, and gives up where that does not work either', () => {
    const cio = new Cio(subchannel('active'));
    cio.injected.add('halt', ['EBUSY']);
    expect([cio.cancelHaltClear(), cio.sch.scsw.fctl]).toEqual(['EBUSY', 1]);
    const failing = new Cio(subchannel('active'));
    failing.injected.add('halt', ['EBUSY', 'ENODEV', 'EIO']);
    failing.injected.add('clear', ['EBUSY']);
    expect([1, 2, 3].map(() => failing.cancelHaltClear())).toEqual(['ENODEV', 'ENODEV', 'EIO']);
    failing.injected.add('quiesce', ['EIO']);
    expect(failing.cancelHaltClear()).toBe('EIO');
  });

  test('answers what was injected instead of doing anything: 1 for EBUSY, 3 for ENODEV, another errno as it is', () => {
    const cio = new Cio(subchannel('new'));
    for (const operation of ['start', 'halt', 'clear'] as const)
      cio.injected.add(operation, ['EBUSY', 'ENODEV', 'EACCES' as never]);
    for (const code of [1, 3, 'EACCES'])
      expect([cio.ssch(program([NOP]), true, 0x80), cio.hsch(), cio.csch()]).toEqual([code, code, code]);
    expect(cio.sch.scsw).toEqual(IDLE);
    expect([cio.hsch(), cio.sch.scsw.fctl]).toEqual([0, 2]);
    cio.injected.add('enable', ['EIO']);
    cio.injected.add('disable', ['ENODEV']);
    expect([cio.enable(), cio.disable(), cio.sch.enabled]).toEqual(['EIO', 'ENODEV', true]);
  });

  test('has an interrupt where a status is pending, and the subchannel enabled', () => {
    expect(new Cio(subchannel('suspended')).interrupt()).toBeNull();
    const cio = new Cio(subchannel('ended'));
    cio.sch.enabled = false;
    expect(cio.interrupt()).toBeNull();
    cio.sch.enabled = true;
    expect(cio.interrupt()).toMatchObject({ fctl: 4 });
    expect(cio.interrupt()).toBeNull();
  });
});
