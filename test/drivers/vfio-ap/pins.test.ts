import { describe, expect, test } from 'vitest';
import { b1, bugOf, CoreRig, logOf } from '../../harness/core-rig.ts';

const APQN = 0x0001;

/** A rig with one AP device `ap` and the mapping [0x10000, 0x20000). */
function apRig(variant: string): CoreRig {
  const rig = new CoreRig('6.1', { ap: { type: 'vfio-ap', variant } });
  rig.map(0x10000, 0x10000);
  return rig;
}

function enable(rig: CoreRig, nib: number, apqn = APQN, isc = 3): unknown {
  return rig.do('ap-enable-interrupt', { device: 'ap', apqn, nib, isc }).response;
}

/** The saved notification byte of a queue, as the device shows it. */
function saved(rig: CoreRig, apqn = APQN): unknown {
  const { driver } = rig.host.machine.device('ap');
  const { queues } = driver.state!(256) as {
    queues: { apqn: number; savedIova: unknown; savedIsc: unknown }[];
  };
  const { savedIova, savedIsc } = queues.find((queue) => queue.apqn === apqn)!;
  return { savedIova, savedIsc };
}

describe('vfio-ap, case 55', () => {
  const outcomes: Record<string, Record<number, ReturnType<typeof b1> | 'success'>> = {
    callback: { 81928: b1(11), 65544: b1(11), 65536: 'success' },
    notifier: { 81928: b1(11), 65544: 'success', 65536: 'success' },
    range: { 81928: 'success', 65544: 'success', 65536: 'success' },
  };
  for (const [variant, nibs] of Object.entries(outcomes)) {
    for (const [nib, outcome] of Object.entries(nibs)) {
      test(`case 55: ${variant}, NIB 0x${Number(nib).toString(16)}`, () => {
        const rig = apRig(variant);
        expect(enable(rig, Number(nib))).toBe(0);
        const reply = rig.unmap(0x10000, 0x10000);
        if (outcome === 'success') {
          expect(reply).toMatchObject({ status: 200, body: { size: '0x10000' } });
          expect(reply.body.invalidations).toHaveLength(1);
        } else {
          expect(bugOf(reply)).toEqual(outcome);
        }
      });
    }
  }

  test('case 55: callback released the pin at 0x10000; the later queue reset unpins it again: W3', () => {
    const rig = apRig('callback');
    enable(rig, 0x10000);
    expect(rig.unmap(0x10000, 0x10000).status).toBe(200);
    expect(saved(rig)).toEqual({ savedIova: '0x10000', savedIsc: 3 });
    const reset = rig.do('ap-reset', { device: 'ap' });
    expect(logOf(reset)).toEqual(['vfio_iommu_type1_unpin_pages']);
    expect(saved(rig)).toEqual({ savedIova: null, savedIsc: null });
    expect(rig.do('ap-reset', { device: 'ap' })).not.toHaveProperty('log');
  });

  test('range forgets what it released: the later reset is silent', () => {
    const rig = apRig('range');
    enable(rig, 0x10008);
    rig.unmap(0x10000, 0x10000);
    expect(saved(rig)).toEqual({ savedIova: null, savedIsc: null });
    expect(rig.do('ap-reset', { device: 'ap' })).not.toHaveProperty('log');
  });
});

describe('vfio-ap, pins', () => {
  test('the key is the exact byte from 6.0 on, the page before', () => {
    const exact = apRig('callback');
    enable(exact, 0x12345);
    expect(exact.pins()).toEqual([['0x12345', 1]]);
    const page = apRig('notifier');
    enable(page, 0x12345);
    expect(page.pins()).toEqual([['0x12000', 1]]);
  });

  test('a NIB that is 0 or not mapped is answered 06, and nothing is pinned', () => {
    const rig = apRig('callback');
    rig.map(0, 0x1000);
    expect(enable(rig, 0)).toBe(6);
    expect(enable(rig, 0x30000)).toBe(6);
    expect(rig.pins()).toEqual([]);
    expect(saved(rig)).toEqual({ savedIova: null, savedIsc: null });
  });

  test('up to 5.19 NIB 0 is taken, and the driver cannot tell its page from none: it leaks', () => {
    const rig = apRig('notifier');
    rig.map(0, 0x1000);
    expect(enable(rig, 0)).toBe(0);
    rig.do('ap-disable-interrupt', { device: 'ap', apqn: APQN });
    expect(rig.pins()).toEqual([['0x0', 1]]);
  });

  test('a read-only mapping cannot take a NIB: 06', () => {
    const rig = apRig('callback');
    rig.do('map-dma', { iova: 0x30000, vaddr: 0, size: 0x1000, flags: ['read'] });
    expect(enable(rig, 0x30000)).toBe(6);
  });

  test('a queue that is not assigned is answered 01', () => {
    const rig = apRig('callback');
    expect(enable(rig, 0x10000, 0x7777)).toBe(1);
    expect(rig.do('ap-disable-interrupt', { device: 'ap', apqn: 0x7777 }).response).toBe(1);
    expect(rig.errno('ap-reset', { device: 'ap', apqn: 0x7777 })).toBe('ENODEV');
    expect(rig.errno('ap-inject', { device: 'ap', apqn: 0x7777, instruction: 'zapq', responses: [0] })).toBe(
      'ENODEV',
    );
  });

  test('the queues a device is given are the ones it has', () => {
    const rig = new CoreRig('6.1', { ap: { type: 'vfio-ap', variant: 'range', queues: [0x0105] } });
    rig.map(0x10000, 0x1000);
    expect(enable(rig, 0x10000, 0x0105)).toBe(0);
    expect(enable(rig, 0x10000, 0)).toBe(1);
  });

  test('enabling the same NIB again: two references, then one', () => {
    const rig = apRig('callback');
    enable(rig, 0x10008);
    expect(enable(rig, 0x10008, APQN, 5)).toBe(0);
    expect(rig.pins()).toEqual([['0x10008', 1]]);
    expect(saved(rig)).toEqual({ savedIova: '0x10008', savedIsc: 5 });
    // Two queues with the same byte hold one reference each.
    enable(rig, 0x10008, 0x0002);
    expect(rig.pins()).toEqual([['0x10008', 2]]);
  });

  test('enabling with another NIB moves the pin', () => {
    const rig = apRig('callback');
    enable(rig, 0x10008);
    enable(rig, 0x13000);
    expect(rig.pins()).toEqual([['0x13000', 1]]);
  });

  test('disable, reset of one queue, reset of all, and close release', () => {
    const rig = apRig('callback');
    for (const apqn of [0, 1, 2, 3]) enable(rig, 0x10000 + 0x1008 * apqn, apqn);
    expect(rig.pins()).toHaveLength(4);
    expect(rig.do('ap-disable-interrupt', { device: 'ap', apqn: 0 }).response).toBe(0);
    expect(rig.pins()).toHaveLength(3);
    rig.do('ap-reset', { device: 'ap', apqn: 1 });
    expect(rig.pins().map(([key]) => key)).toEqual(['0x12010', '0x13018']);
    rig.do('ap-reset', { device: 'ap' });
    expect(rig.pins()).toEqual([]);
    enable(rig, 0x10008);
    expect(rig.do('close-device', { device: 'ap' })).not.toHaveProperty('log');
    expect(rig.pins()).toEqual([]);
  });

  test('with the device closed KVM answers 01 itself, in bits of GR1 where no guest looks; the RESET ioctl has no file', () => {
    const rig = apRig('callback');
    rig.do('close-device', { device: 'ap' });
    expect(rig.do('ap-enable-interrupt', { device: 'ap', apqn: APQN, nib: 0x10000, isc: 3 })).toEqual({
      response: 0,
      cc: 3,
      gr1: '0x1000000000003',
    });
    expect(rig.do('ap-disable-interrupt', { device: 'ap', apqn: APQN }).gr1).toBe('0x1000000000000');
    expect(rig.errno('ap-reset', { device: 'ap' })).toBe('EBADF');
  });
});

describe('vfio-ap, dma_unmap', () => {
  test('(c) disables exactly the queues in the range', () => {
    const rig = apRig('range');
    rig.map(0x20000, 0x10000);
    enable(rig, 0x10008, 0);
    enable(rig, 0x1fff8, 1);
    enable(rig, 0x20000, 2);
    expect(rig.unmap(0x10000, 0x10000).status).toBe(200);
    expect(rig.pins()).toEqual([['0x20000', 1]]);
    expect(saved(rig, 2)).toMatchObject({ savedIova: '0x20000' });
  });

  test('(c) quirk: a range that starts at 0 disables queues without a pin as well', () => {
    const rig = apRig('range');
    rig.attach('d', { type: 'synthetic', onDmaUnmap: 'unpin-range' });
    rig.map(0, 0x1000);
    rig.do('pin-pages', { device: 'd', iova: 0, npage: 1, prot: 3 });
    // Only a disable that is really done meets this answer.
    rig.do('ap-inject', { device: 'ap', apqn: 0, instruction: 'aqic-disable', responses: [1] });
    const reply = rig.unmap(0, 0x1000);
    expect(reply.status).toBe(200);
    expect(logOf(reply.body)).toEqual(['vfio_ap_irq_disable']);
  });

  test('(c) leaves queues without a pin alone in any other range', () => {
    const rig = apRig('range');
    enable(rig, 0x10008, 1);
    rig.do('ap-inject', { device: 'ap', apqn: 0, instruction: 'aqic-disable', responses: [1] });
    expect(rig.unmap(0x10000, 0x10000).body).not.toHaveProperty('log');
  });
});
