import { describe, expect, test } from 'vitest';
import { b1, bugOf, logOf } from '../../harness/core-rig.ts';
import { ApRig } from './rig.ts';

const { issued } = ApRig;
const WORKS = ['6.12', '7.2'];

/** A rig whose queue 0 has interrupts on, and what a RESET is answered after these answers to ZAPQ. */
function resetAfter(version: string, zapq: readonly unknown[], tapq: readonly unknown[] = []) {
  const rig = new ApRig(version);
  rig.enable();
  if (zapq.length > 0) rig.inject('zapq', zapq);
  if (tapq.length > 0) rig.inject('tapq', tapq);
  return { rig, answer: rig.answer('ap-reset', { device: 'd0' }) };
}

describe('D3: RESET of 6.12 and later', () => {
  test.each(WORKS)('%s: every ZAPQ first, then each queue is looked at by its work', (version) => {
    const { answer } = resetAfter(version, []);
    expect(issued(answer)).toEqual(['zapq 0: 0', 'zapq 1: 0', 'tapq 0: 0 work', 'tapq 1: 0 work']);
  });

  test.each([1, 3, 4])('ZAPQ answered %i: EIO, never EBUSY, and the pin is released at once', (code) => {
    const { rig, answer } = resetAfter('6.12', [code]);
    expect(answer.errno).toBe('EIO');
    expect(answer).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([]);
  });

  test.each([2, 5, 0x0a])('ZAPQ answered %i: the work tries again until 00, success', (code) => {
    const { rig, answer } = resetAfter('6.12', [code, code, code]);
    expect(answer).not.toHaveProperty('errno');
    expect(issued(answer).filter((line) => line.startsWith('zapq 0'))).toHaveLength(4);
    expect(rig.pins()).toEqual([]);
  });

  test('there is no limit to how often: thirty times, 620 ms', () => {
    const { answer } = resetAfter('6.12', new Array(30).fill(2));
    expect(answer).toMatchObject({ milliseconds: 620 });
  });

  test('an unknown code: A7, EIO, and the pin stays', () => {
    for (const [version, line] of [
      ['6.12', 2014],
      ['7.2', 2017],
    ] as const) {
      const { rig, answer } = resetAfter(version, [9]);
      expect(answer).toMatchObject({ errno: 'EIO', log: [{ kind: 'WARN_ON', line }] });
      expect(rig.pins()).toEqual([['0x14008', 1]]);
      rig.do('ap-reset', { device: 'd0' });
      expect(rig.pins()).toEqual([]);
    }
  });

  test('interrupts still on or a queue that is not empty: neither a warning nor a wait', () => {
    const { answer } = resetAfter('6.12', [
      { response: 0, irqEnabled: true },
      { response: 0, queueEmpty: false },
    ]);
    expect(answer).not.toHaveProperty('log');
    expect(answer).toMatchObject({ milliseconds: 20 });
  });

  test.each([6, 7, 9, 0x0a, 0x0b, 0x42])(
    'TAPQ answered %i: a warning, success, and the pin stays',
    (code) => {
      for (const [version, line] of [
        ['6.12', 1938],
        ['7.2', 1941],
      ] as const) {
        const { rig, answer } = resetAfter(version, [], [code]);
        expect(answer).not.toHaveProperty('errno');
        expect(answer).toMatchObject({ log: [{ kind: 'WARN_ON', function: 'apq_reset_check', line }] });
        expect(rig.pins()).toEqual([['0x14008', 1]]);
      }
    },
  );

  test('that nobody is told of at close: the next UNMAP is the BUG_ON', () => {
    const rig = new ApRig('6.12');
    rig.enable();
    rig.inject('tapq', [9]);
    rig.do('close-device', { device: 'd0' });
    expect(bugOf(rig.unmap(0x10000, 0x10000))).toEqual(b1(0));
  });

  test('TAPQ answered 01: released; 35 and 36: ZAPQ once more', () => {
    expect(resetAfter('6.12', [], [1]).rig.pins()).toEqual([]);
    const { rig, answer } = resetAfter('6.12', [], [0x35, 0x36]);
    expect(issued(answer).filter((line) => line === 'zapq 0: 0 work')).toHaveLength(2);
    expect(rig.pins()).toEqual([]);
  });

  test('a repeated ZAPQ answered 03 or 09: released without a warning, EIO', () => {
    for (const code of [3, 9]) {
      const { rig, answer } = resetAfter('6.12', [2, code]);
      expect(answer.errno).toBe('EIO');
      expect(answer).not.toHaveProperty('log');
      expect(rig.pins()).toEqual([]);
    }
  });
});

describe('RESET of 5.10 and 6.1', () => {
  test('one queue after the other: ascending on 5.10, by the hash of the APQN on 6.1', () => {
    const orderOf = (version: string) => {
      const rig = new ApRig(version, { d0: [0, 1, 2, 3] });
      return issued(rig.answer('ap-reset', { device: 'd0' })).map((line) => line.split(/[ :]/)[1]);
    };
    expect(orderOf('5.10')).toEqual(['0', '1', '2', '3']);
    expect(orderOf('6.1')).toEqual(['0', '3', '1', '2']);
  });

  test('a queue in reset is tried again after 20 ms, once: EBUSY, released', () => {
    for (const version of ['5.10', '6.1']) {
      const { rig, answer } = resetAfter(version, [2, 2]);
      expect(answer).toMatchObject({ errno: 'EBUSY', milliseconds: 20 });
      expect(rig.pins()).toEqual([]);
    }
  });
});

describe('D5: a queue is reset once the guest has gone', () => {
  /** A reset at close was answered 09: the pin and the ISC stay; then the device is removed. */
  function removedAfterEio(version: string) {
    const rig = new ApRig(version);
    rig.enable();
    rig.inject('zapq', [9]);
    rig.do('close-device', { device: 'd0' });
    const { apqn, savedIsc } = rig.state().queues[0]!;
    expect([apqn, savedIsc]).toEqual([0, 3]);
    return logOf(rig.answer('remove-device', { device: 'd0' }));
  }

  test('5.10 and 6.1 warn (A3) and keep the ISC; its unpin finds no open device', () => {
    expect(removedAfterEio('5.10')).toEqual([
      'vfio_remove_dma',
      'vfio_ap_free_aqic_resources',
      'vfio_mdev MDEV: MDEV: detaching iommu',
    ]);
    expect(removedAfterEio('6.1')).toEqual([
      'vfio_remove_dma',
      'vfio_ap_free_aqic_resources',
      'vfio_assert_device_open',
      'vfio_unpin_pages',
    ]);
  });

  test.each(WORKS)('%s drops the ISC silently', (version) => {
    const log = removedAfterEio(version);
    expect(log[0]).toBe('vfio_remove_dma');
    expect(log).not.toContain('vfio_ap_free_aqic_resources');
  });

  test('5.10: the unpin of a device that is being removed is ENODEV', () => {
    const rig = new ApRig('5.10');
    rig.enable();
    rig.inject('zapq', [9]);
    rig.do('close-device', { device: 'd0' });
    expect(rig.answer('remove-device', { device: 'd0' }).vfio).toMatchObject([{ op: 'unpin', ret: -19 }]);
  });
});

test('M9: 7.2 takes the queues from the guest of a device that is to be removed; 6.12 only asks', () => {
  for (const [version, adapters] of [
    ['6.12', [0]],
    ['7.2', []],
  ] as const) {
    const rig = new ApRig(version);
    rig.enable();
    expect(rig.start('remove-device', { device: 'd0' }).answer).toBeNull();
    expect(rig.guest(0).adapters).toEqual(adapters);
    expect(rig.pins()).toEqual([['0x14008', 1]]);
  }
});

test.each([
  ['5.10', 1164],
  ['6.1', 1641],
  ['6.12', 2014],
  ['7.2', 2017],
])('D12: on %s the console names the driver’s file, line %i, function and module', (version, line) => {
  const rig = new ApRig(version);
  rig.inject('zapq', [0x42]);
  const { log } = rig.answer('ap-reset', { device: 'd0' }) as { log?: object[] };
  const site = { function: 'vfio_ap_mdev_reset_queue', file: 'drivers/s390/crypto/vfio_ap_ops.c', line };
  expect(log).toEqual([expect.objectContaining({ kind: 'WARN_ON', ...site })]);
  const shown = rig.host
    .dmesg()
    .split('\n')
    .find((text) => text.includes('WARNING'));
  expect(shown).toContain(`drivers/s390/crypto/vfio_ap_ops.c:${line}`);
  expect(shown).toMatch(/vfio_ap_mdev_reset_queue\+0x[0-9a-f]+\/0x[0-9a-f]+ \[vfio_ap\]/);
});
