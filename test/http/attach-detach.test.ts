import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeEach, describe, expect, test } from 'vitest';
import { ASYNC, ok, useRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();
beforeEach(() => ok(rig.post('containers', { container: 'c0' })));

const device = (id: string, driver: object = synthetic('ignore')) =>
  ok(rig.post('devices', { device: id, driver }));
const attach = (id: string, container = 'c0', headers = {}) =>
  rig.post(`containers/${container}/attach`, { device: id }, headers);
const detach = (id: string, container = 'c0') => rig.post(`containers/${container}/detach`, { device: id });

/** Calls in the journal after `since`, each with its request and how it was answered. */
async function journalled(since: number): Promise<{ call: object; reqId?: string; answer: string | null }[]> {
  const { events } = await ok(rig.get(`events?since=${since}`));
  const answers = new Map<number, string | null>();
  for (const { kind, cause, how, errno } of events) {
    if (kind === 'answer') answers.set(cause, how === 'returned' ? errno : how);
  }
  return events
    .filter(({ kind }: { kind: string }) => kind === 'call')
    .map(({ seq, call, reqId }: { seq: number; call: object; reqId?: string }) => ({
      call,
      reqId,
      answer: answers.get(seq),
    }));
}
const seqNow = async (): Promise<number> => (await rig.request('GET', '/v1')).body.seq;

describe('attach', () => {
  test('into a fresh container answers container, device and group, and opens the device', async () => {
    await device('d0');
    expect(await attach('d0')).toMatchObject({
      status: 200,
      body: { container: 'c0', device: 'd0', group: 'g0' },
    });
    expect((await rig.get('devices/d0')).body).toMatchObject({
      openCount: 1,
      groupOpen: true,
      container: 'c0',
    });
    expect((await rig.get('containers/c0')).body.iommu).toMatchObject({ type: 3, devices: ['d0'] });
  });

  test('is journalled as its calls, under its own request', async () => {
    await device('d0');
    const since = await seqNow();
    await ok(attach('d0', 'c0', { 'x-request-id': 'attach-1' }));
    const of = (call: object) => ({ call, reqId: 'attach-1', answer: null });
    expect(await journalled(since)).toEqual([
      of({ call: 'open-group', device: 'd0' }),
      of({ call: 'set-container', device: 'd0', container: 'c0' }),
      of({ call: 'set-iommu', container: 'c0', type: 'type1v2' }),
      of({ call: 'open-device', device: 'd0' }),
    ]);
  });

  test('of a second device leaves the IOMMU that is set', async () => {
    await containerOf('type1');
    await device('d1');
    const since = await seqNow();
    await ok(attach('d1'));
    expect((await journalled(since)).map(({ call }) => (call as { call: string }).call)).toEqual([
      'open-group',
      'set-container',
      'open-device',
    ]);
    expect((await rig.get('containers/c0')).body.iommu).toMatchObject({ type: 1, devices: ['d1', 'd0'] });
  });

  /** c0 with d0 open and an IOMMU of this type. */
  async function containerOf(type: string): Promise<void> {
    await rig.create('d0', synthetic('ignore'), { type });
    await ok(rig.post('devices/d0/open-device'));
  }

  test('of a vfio-pci device works as of an mdev', async () => {
    await ok(rig.post('devices', { device: 'pci', kind: 'vfio-pci' }));
    await ok(attach('pci'));
    expect((await rig.get('containers/c0/iommu-info')).body).toHaveProperty('iovaRanges');
  });

  test('refused at its first call changes nothing and answers that call’s problem', async () => {
    await device('d0');
    await ok(rig.post('devices/d0/open-group'));
    const before = await rig.state();
    const answer = await attach('d0');
    expectProblem(answer, { status: 409, errno: 'EBUSY' });
    expect(answer.body.call).toBe('open-group');
    expect(await rig.state()).toEqual(before);
  });

  test('refused at set-container closes the group again', async () => {
    await containerOf('type1v2');
    await rig.map('0xfee00000', '0x1000');
    await ok(rig.post('devices', { device: 'pci', kind: 'vfio-pci' }));
    const before = await rig.state();
    const since = await seqNow();
    const answer = await attach('pci');
    expectProblem(answer, { status: 422, errno: 'EINVAL', detail: ['set-container', '0xfee00000'] });
    expect(await rig.state()).toEqual(before);
    expect(
      (await journalled(since)).map(({ call, answer }) => [(call as { call: string }).call, answer]),
    ).toEqual([
      ['open-group', null],
      ['set-container', 'EINVAL'],
      ['close-group', null],
    ]);
  });

  test('refused for the memory limit carries what the kernel printed', async () => {
    await containerOf('type1v2');
    await ok(rig.post('processes/p0/set-memlock', { bytes: 4096 }));
    await rig.map('0x10000', '0x2000');
    await ok(rig.post('devices', { device: 'pci', kind: 'vfio-pci' }));
    const before = await rig.state();
    const answer = await attach('pci');
    expectProblem(answer, { status: 409, errno: 'ENOMEM' });
    expect(answer.body.log).toMatchObject([{ kind: 'PR_WARN' }]);
    expect(await rig.state()).toEqual(before);
  });

  test('refused at open-device takes set-container and open-group back, last first', async () => {
    const driver = createServer((_, response) => response.end('{"errno":"EINVAL"}')).listen(0, '127.0.0.1');
    await once(driver, 'listening');
    const { port } = driver.address() as AddressInfo;
    try {
      await device('d0', { type: 'webhook', url: `http://127.0.0.1:${port}/`, openDevice: true });
      const before = await rig.state();
      const since = await seqNow();
      const answer = await attach('d0');
      expectProblem(answer, { status: 422, errno: 'EINVAL' });
      expect(answer.body.call).toBe('open-device');
      expect((await journalled(since)).map(({ call }) => (call as { call: string }).call)).toEqual([
        'open-group',
        'set-container',
        'set-iommu',
        'open-device',
        'unset-container',
        'close-group',
      ]);
      // The last group takes the IOMMU with it.
      expect(await rig.state()).toEqual(before);
    } finally {
      driver.close();
      driver.closeAllConnections();
    }
  });

  test('into a container that is closed closes the group again', async () => {
    await containerOf('type1v2');
    await ok(rig.del('containers/c0'));
    await device('d1');
    const before = await rig.state();
    expectProblem(await attach('d1'), { status: 409, errno: 'EBADF', detail: ['container'] });
    expect(await rig.state()).toEqual(before);
  });

  test('into a wedged container closes the group again', async () => {
    await containerOf('type1v2');
    await rig.bug();
    await device('d1');
    const before = await rig.state();
    expectProblem(await attach('d1'), { status: 423, slug: 'container-wedged' });
    expect(await rig.state()).toEqual(before);
  });

  test('that waits is answered when it is done', async () => {
    await rig.create('d0', synthetic('unpin-range', { holdCallbacks: true }), { type: 'type1v2' });
    await ok(rig.post('devices/d0/open-device'));
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
    await device('d1');
    await rig.unmap('0x10000', '0x1000', ASYNC);
    await ok(rig.post('devices/d0/unpin-pages', { iova: '0x10000', npage: 1 }));
    const { operation } = (await attach('d1', 'c0', ASYNC)).body;
    expect((await rig.get(`operations/${operation}`)).body.done).toBe(false);
    await ok(rig.post('devices/d0/resume-callbacks'));
    const { body } = await rig.get(`operations/${operation}?wait=1&timeoutMs=10000`);
    expect(body).toMatchObject({ done: true, answer: { status: 200, body: { device: 'd1' } } });
    expect((await rig.get('devices/d1')).body.openCount).toBe(1);
  });
});

describe('detach', () => {
  test('answers container, device and group, and leaves the container as it was opened', async () => {
    const before = await rig.state();
    await device('d0');
    await ok(attach('d0'));
    expect(await detach('d0')).toMatchObject({
      status: 200,
      body: { container: 'c0', device: 'd0', group: 'g0' },
    });
    await ok(rig.del('devices/d0'));
    expect(await rig.state()).toEqual(before);
  });

  test('is journalled as its calls, under its own request', async () => {
    await device('d0');
    await ok(attach('d0'));
    const since = await seqNow();
    await ok(rig.post('containers/c0/detach', { device: 'd0' }, { 'x-request-id': 'detach-1' }));
    const of = (call: string) => ({ call: { call, device: 'd0' }, reqId: 'detach-1', answer: null });
    expect(await journalled(since)).toEqual([of('close-device'), of('unset-container'), of('close-group')]);
  });

  test('of the last device whose pins leak answers with the warning', async () => {
    await device('d0');
    await ok(attach('d0'));
    await rig.map('0x10000', '0x1000');
    await rig.pin('0x10000');
    const { log } = await ok(detach('d0'));
    expect(log).toMatchObject([{ kind: 'WARN_ON', function: 'vfio_remove_dma' }]);
  });

  test('of a device that is not open answers EBADF and changes nothing', async () => {
    await rig.create('d0', synthetic('ignore'));
    const before = await rig.state();
    const answer = await detach('d0');
    expectProblem(answer, { status: 409, errno: 'EBADF' });
    expect(answer.body.call).toBe('close-device');
    expect(await rig.state()).toEqual(before);
  });

  test('of a device that is open twice stops at unset-container', async () => {
    await device('d0');
    await ok(attach('d0'));
    await ok(rig.post('devices/d0/open-device'));
    const answer = await detach('d0');
    expectProblem(answer, { status: 409, errno: 'EBUSY' });
    expect(answer.body.call).toBe('unset-container');
    expect((await rig.get('devices/d0')).body).toMatchObject({ openCount: 1, container: 'c0' });
  });

  test('and attach again give the container a fresh IOMMU', async () => {
    await containerWithout();
    await ok(attach('d0'));
    await rig.map('0x10000', '0x1000');
    await ok(detach('d0'));
    await ok(attach('d0'));
    expect((await rig.get('containers/c0')).body.iommu).toMatchObject({ mappings: 0, dmaAvail: 65535 });
  });

  /** A device that belongs to nothing yet. */
  const containerWithout = () => device('d0');
});

test('attach and the single calls end in the same state', async () => {
  await device('d0');
  await ok(attach('d0'));
  const attached = await rig.state();
  await ok(rig.post('reset'));
  await rig.container(synthetic('ignore'));
  expect(await rig.state()).toEqual(attached);
});
