import { describe, expect, test } from 'vitest';
import { ASYNC, ok, useRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();

/** The console, without times. */
async function console(): Promise<string[]> {
  const { body } = await rig.app.inject('/v1/dmesg');
  return body.split('\n').map((line) => line.replace(/^\[ +\d+\.\d{6}\] /, ''));
}

async function journalled(): Promise<object[]> {
  const { events } = await ok(rig.get('events?kind=splat'));
  return events.map(({ splat }: { splat: object }) => splat);
}

const PINS = [{ iova: '0x11000', refCount: 1, devices: [{ device: 'd0', count: 1 }] }];

describe('what a splat was about', () => {
  test('the BUG_ON: answer, journal, later answers and the container have mapping, attempt and pins', async () => {
    await rig.container(synthetic('ignore'));
    await rig.map('0x10000', '0x4000');
    await rig.pin('0x11000');
    const { splat, splats, log } = (await rig.unmap('0x10000', '0x4000')).body;
    expect(splat).toMatchObject({
      kind: 'BUG_ON',
      iova: '0x10000',
      size: '0x4000',
      attempt: 11,
      pinCount: 1,
      pins: PINS,
    });
    expect(splats).toEqual([splat]);
    expect(await journalled()).toEqual([splat]);
    expect((await rig.tryMap('0x90000', '0x1000')).body.splat).toEqual(splat);
    expect((await rig.get('containers/c0')).body.wedged).toEqual(splat);
    // The log has what the kernel prints, and no more.
    expect(Object.keys(log[0])).toEqual(['kind', 'function', 'condition', 'file', 'line']);
  });

  test('a WARN_ON: answer and journal have mapping and pins', async () => {
    await rig.container(synthetic('ignore'));
    await rig.map('0x10000', '0x2000');
    await rig.pin('0x11000');
    await ok(rig.post('devices/d0/close-device'));
    const { splats } = await ok(rig.post('devices/d0/unset-container'));
    expect(splats).toMatchObject([
      { kind: 'WARN_ON', function: 'vfio_remove_dma', iova: '0x10000', size: '0x2000', pins: PINS },
    ]);
    expect(await journalled()).toEqual(splats);
  });

  test('a snapshot keeps it', async () => {
    await rig.container(synthetic('ignore'));
    const { splat } = (await rig.bug()).body;
    const snapshot = await ok(rig.get('snapshot'));
    await ok(rig.request('PUT', '/v1/snapshot', snapshot));
    expect((await rig.get('containers/c0')).body.wedged).toEqual(splat);
  });

  test('an answer without a WARN or a BUG has no splats', async () => {
    await rig.container(synthetic('ignore'));
    await ok(rig.post('processes/p0/set-memlock', { bytes: 4096 }));
    await rig.map('0x10000', '0x2000');
    await rig.pin('0x10000');
    const { body } = await rig.tryPin('0x11000');
    expect(body.log).toHaveLength(1);
    expect(body).not.toHaveProperty('splats');
  });
});

describe('who the console says it was', () => {
  test('the two tasks of a deadlock have names and pids of their own', async () => {
    await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
    await rig.create('d1', synthetic('ignore'));
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
    await rig.unmap('0x10000', '0x1000', ASYNC);
    await rig.post('devices/d1/open-device', {}, ASYNC);
    await ok(rig.post('devices/d0/resume-callbacks'));
    const tasks = (await console()).flatMap(
      (line) => /^INFO: task (\S+) blocked for more/.exec(line)?.[1] ?? [],
    );
    expect(tasks.sort()).toEqual(['vfio-host-1:1001', 'vfio-host:1000']);
  });

  test('a pr_warn about a limit names the process where the answer has it masked', async () => {
    await ok(rig.post('processes', { process: 'guest' }));
    await ok(rig.post('containers', { container: 'c0', process: 'guest' }));
    await rig.create('d0', synthetic('ignore'));
    for (const [call, body] of [
      ['containers/c0/set-iommu', { type: 'type1v2' }],
      ['devices/d0/open-device', {}],
      ['processes/guest/set-memlock', { bytes: 0 }],
    ] as const) {
      await ok(rig.post(call, body));
    }
    await rig.map('0x10000', '0x2000');
    const { log } = (await rig.tryPin('0x10000')).body;
    expect(log[0].text).toContain('Task COMM (PID) RLIMIT_MEMLOCK (0) exceeded');
    expect(await console()).toContain(
      'vfio_pin_page_external: Task guest (3048) RLIMIT_MEMLOCK (0) exceeded',
    );
  });

  test('a warning of VFIO’s core is of the module vfio', async () => {
    await rig.container(synthetic('ignore'));
    await ok(rig.post('devices/d0/close-device'));
    await rig.tryPin('0x10000');
    expect((await console())[1]).toMatch(/ vfio_assert_device_open\+0x[0-9a-f]+\/0x[0-9a-f]+ \[vfio\]$/);
  });

  test('a driver’s warning is of its own module', async () => {
    await rig.container({ type: 'vfio-ap' });
    await rig.map('0x10000', '0x10000');
    await ok(rig.post('devices/d0/ap-enable-interrupt', { apqn: 1, nib: '0x10000', isc: 3 }));
    await ok(rig.post('devices/d0/ap-reset', { apqn: 1 }));
    await ok(rig.post('devices/d0/ap-inject', { apqn: 1, instruction: 'zapq', responses: [6] }));
    await rig.post('devices/d0/ap-reset', { apqn: 1 });
    const lines = await console();
    expect(lines[1]).toMatch(/ vfio_ap_mdev_reset_queue\+0x[0-9a-f]+\/0x[0-9a-f]+ \[vfio_ap\]$/);
    expect(lines[2]).toBe('Modules linked in: vfio_ap vfio_iommu_type1 vfio mdev');
  });
});
