import { describe, expect, test } from 'vitest';
import { b1, bugOf, CoreRig, logOf } from '../../harness/core-rig.ts';

const Q = 0x0001;

function apRig(variant = 'callback'): CoreRig {
  const rig = new CoreRig('6.1', { ap: { type: 'vfio-ap', variant, queues: [Q] } });
  rig.map(0x10000, 0x10000);
  return rig;
}

function inject(rig: CoreRig, instruction: string, ...responses: unknown[]): void {
  rig.do('ap-inject', { device: 'ap', apqn: Q, instruction, responses });
}

function enable(rig: CoreRig, nib = 0x10008): Record<string, unknown> {
  return rig.do('ap-enable-interrupt', { device: 'ap', apqn: Q, nib, isc: 3 });
}

function disable(rig: CoreRig): Record<string, unknown> {
  return rig.do('ap-disable-interrupt', { device: 'ap', apqn: Q });
}

describe('vfio-ap, answers to enable', () => {
  test('07: the new pin is released, the old one stays', () => {
    const rig = apRig();
    enable(rig, 0x10008);
    inject(rig, 'aqic-enable', 7);
    expect(enable(rig, 0x13000)).toMatchObject({ response: 7, cc: 3 });
    expect(rig.pins()).toEqual([['0x10008', 1]]);
  });

  test.each([1, 2, 3, 4, 5, 6, 0x42])('%i: the old pin is released and the new one leaks (A10)', (code) => {
    const rig = apRig();
    enable(rig, 0x10008);
    inject(rig, 'aqic-enable', code);
    const answer = enable(rig, 0x13000);
    expect(answer.response).toBe(code);
    const hex = code.toString(16).padStart(2, '0');
    expect(answer.log).toEqual([
      { kind: 'PR_WARN', text: `vfio_ap_irq_enable: apqn 0001: response: ${hex}` },
    ]);
    expect(rig.pins()).toEqual([['0x13000', 1]]);
    expect(disable(rig)).toMatchObject({ response: 0, cc: 0 });
    expect(rig.pins()).toEqual([['0x13000', 1]]);
  });

  test('the leaked pin is a BUG_ON even with (c)', () => {
    const rig = apRig('range');
    inject(rig, 'aqic-enable', 4);
    enable(rig, 0x13000);
    expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(11));
  });

  test('D4: an ISC that cannot be registered: unnoticed on 5.10, 08 on 6.1, 06 from 6.12 on; no pin leaks', () => {
    for (const [variant, response, left] of [
      ['notifier', 0, [['0x13000', 1]]],
      ['callback', 8, []],
      ['range', 6, []],
    ] as const) {
      const rig = apRig(variant);
      inject(rig, 'gisc-register', 1);
      expect(enable(rig, 0x13008)).toMatchObject({ response });
      expect(rig.pins(), variant).toEqual(left);
      disable(rig);
      expect(rig.pins(), variant).toEqual([]);
    }
  });

  test.each([1, 2, 3, 5, 7, 0x42])('5.10 cannot read what AQIC answers: %i is taken for 00', (code) => {
    const rig = apRig('notifier');
    inject(rig, 'aqic-enable', code);
    inject(rig, 'aqic-disable', code, code, code, code, code, code);
    const on = enable(rig, 0x13008);
    expect(on).toMatchObject({ response: 0, cc: 0, instructions: [{ response: code }] });
    expect(on).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([['0x13000', 1]]);
    const off = disable(rig);
    expect(off).toMatchObject({
      response: 0,
      instructions: [{ op: 'aqic-disable', response: code }, { op: 'tapq' }],
    });
    expect(off).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([]);
  });
});

describe('vfio-ap, disable', () => {
  test.each([1, 3, 4, 6, 8])('A5: AQIC-disable answers %i; the pin is released all the same', (code) => {
    const rig = apRig();
    enable(rig);
    inject(rig, 'aqic-disable', code);
    const answer = disable(rig);
    expect(answer.response).toBe(code);
    expect(logOf(answer)).toEqual(['vfio_ap_irq_disable']);
    expect(answer.log).toMatchObject([{ line: 329 }]);
    expect(rig.pins()).toEqual([]);
  });

  test('A6: busy or in reset six times; five times is in time', () => {
    const rig = apRig();
    enable(rig);
    inject(rig, 'aqic-disable', 5, 2, 5, 2, 5);
    expect(disable(rig)).toMatchObject({ response: 0, cc: 0 });
    enable(rig);
    inject(rig, 'aqic-disable', 5, 2, 5, 2, 5, 2);
    const answer = disable(rig);
    expect(answer).toMatchObject({
      response: 2,
      log: [{ kind: 'WARN_ON_ONCE', line: 335 }],
      milliseconds: 120,
    });
    expect(rig.pins()).toEqual([]);
  });

  test('A1: TAPQ answers that the queue is gone; once only', () => {
    const rig = apRig();
    for (const log of [[{ kind: 'WARN_ON_ONCE', line: 255 }], undefined]) {
      enable(rig);
      inject(rig, 'tapq', 3);
      const answer = disable(rig);
      expect(answer.response).toBe(0);
      if (log) expect(answer.log).toMatchObject(log);
      else expect(answer).not.toHaveProperty('log');
      expect(rig.pins()).toEqual([]);
    }
  });

  test('A2: the interrupt bit is still set after five looks; after four it is not yet too late', () => {
    const rig = apRig();
    const set = { response: 0, irqEnabled: true };
    inject(rig, 'tapq', set, 5, { response: 2, irqEnabled: true }, set);
    enable(rig);
    expect(disable(rig)).toMatchObject({ response: 0, cc: 0 });
    inject(rig, 'tapq', set, 5, set, set, set);
    enable(rig);
    expect(disable(rig)).toMatchObject({ response: 0, log: [{ kind: 'WARN_ON_ONCE', line: 261 }] });
    expect(rig.pins()).toEqual([]);
  });
});

describe('vfio-ap, reset', () => {
  test('A7: an unknown code is EIO every time, and the pin stays', () => {
    const rig = apRig();
    enable(rig);
    for (const code of [5, 7]) {
      inject(rig, 'zapq', code);
      const { status, body } = rig.reply('ap-reset', { device: 'ap' });
      expect([status, body.errno]).toEqual([422, 'EIO']);
      expect(body.log).toMatchObject([{ kind: 'WARN_ON', line: 1641 }]);
      expect(rig.pins()).toEqual([['0x10008', 1]]);
    }
    expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(11));
  });

  test.each([1, 3, 4])(
    'A8: ZAPQ answers %i: EBUSY, released; it warns if interrupts are still enabled',
    (code) => {
      const rig = apRig();
      enable(rig);
      inject(rig, 'zapq', code);
      const quiet = rig.reply('ap-reset', { device: 'ap', apqn: Q });
      expect(quiet.body).toMatchObject({ errno: 'EBUSY' });
      expect(quiet.body).not.toHaveProperty('log');
      expect(rig.pins()).toEqual([]);
      inject(rig, 'zapq', { response: code, irqEnabled: true });
      const { body } = rig.reply('ap-reset', { device: 'ap', apqn: Q });
      expect(body).toMatchObject({ errno: 'EBUSY', log: [{ kind: 'WARN_ON_ONCE', line: 1633 }] });
    },
  );

  test('reset in progress is tried twice, then EBUSY with the pin released', () => {
    const rig = apRig();
    enable(rig);
    inject(rig, 'zapq', 2);
    rig.do('ap-reset', { device: 'ap' });
    enable(rig);
    inject(rig, 'zapq', 2, 2);
    expect(rig.errno('ap-reset', { device: 'ap' })).toBe('EBUSY');
    expect(rig.pins()).toEqual([]);
  });

  test.each([
    ['notifier', 3, 'EBUSY'],
    ['callback', 3, 'EBUSY'],
    ['callback', 9, 'EIO'],
    ['range', 3, 'EIO'],
  ])('%s: a ZAPQ answered %i is refused with %s, and the problem says why', (variant, code, errno) => {
    const rig = apRig(variant);
    inject(rig, 'zapq', code);
    const { body } = rig.reply('ap-reset', { device: 'ap' });
    expect([body.errno, body.detail]).toEqual([
      errno,
      expect.stringContaining(`ZAPQ of queue 1 was answered with response 0${code}`),
    ]);
  });

  test('A9: also when the second and last look finds the queue reset', () => {
    const rig = apRig();
    inject(rig, 'zapq', { response: 0, queueEmpty: false });
    const late = rig.do('ap-reset', { device: 'ap' });
    expect(late.log).toMatchObject([{ kind: 'WARN_ON_ONCE', line: 1655 }]);
    const never = apRig();
    const busy = { response: 0, irqEnabled: true };
    inject(never, 'zapq', busy);
    inject(never, 'tapq', busy, busy);
    enable(never);
    const answer = never.do('ap-reset', { device: 'ap' });
    expect(logOf(answer)).toEqual(['vfio_ap_mdev_reset_queue']);
    const looks = (answer.instructions as { op: string }[]).map(({ op }) => op);
    expect(looks).toEqual(['zapq', 'tapq', 'tapq']);
    expect(answer.milliseconds).toBe(40);
    expect(never.pins()).toEqual([]);
  });

  test('A3: a reset at close ended EIO, the guest is gone, and the queue is reset once more', () => {
    const rig = apRig();
    enable(rig);
    inject(rig, 'zapq', 7);
    const close = rig.do('close-device', { device: 'ap' });
    expect(close.log).toMatchObject([{ line: 1641 }]);
    expect(rig.pins()).toEqual([['0x10008', 1]]);
    const again = rig.do('ap-reset', { device: 'ap', apqn: Q });
    expect(again.log).toMatchObject([
      { kind: 'WARN_ON', function: 'vfio_ap_free_aqic_resources', line: 278 },
      { kind: 'WARN_ON_ONCE', function: 'vfio_assert_device_open' },
      { kind: 'WARN_ON', function: 'vfio_unpin_pages' },
    ]);
    expect(rig.pins()).toEqual([['0x10008', 1]]);
    // The registered ISC is never given back; the pin is forgotten.
    expect(logOf(rig.do('ap-reset', { device: 'ap', apqn: Q }))).toEqual(['vfio_ap_free_aqic_resources']);
  });

  test('A3 as well when the mdev is removed', () => {
    const rig = apRig();
    enable(rig);
    inject(rig, 'zapq', 7);
    rig.do('close-device', { device: 'ap' });
    const { body } = rig.reply('remove-device', { device: 'ap' });
    expect(logOf(body)).toContain('vfio_ap_free_aqic_resources');
  });

  test('a guest that comes back finds the pin, and the next reset releases it', () => {
    const rig = apRig();
    enable(rig);
    inject(rig, 'zapq', 7);
    rig.do('close-device', { device: 'ap' });
    rig.do('open-device', { device: 'ap' });
    expect(rig.do('ap-reset', { device: 'ap' })).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([]);
  });
});

test('injected answers are used up in order, and bounded', () => {
  const rig = apRig();
  inject(rig, 'aqic-disable', 7, 1);
  expect(disable(rig).response).toBe(7);
  expect(disable(rig).response).toBe(1);
  expect(disable(rig).response).toBe(0);
  const many = { device: 'ap', apqn: Q, instruction: 'tapq', responses: new Array(256).fill(0) };
  for (let i = 0; i < 4; i++) rig.do('ap-inject', many);
  expect(() => rig.do('ap-inject', many)).toThrow('1024 injected answers');
});
