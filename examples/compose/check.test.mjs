// What a project's own integration test may look like: each test has a rig of its own, so that they need no order
// and no cleaning up between them.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, test } from 'node:test';

const URL_ = process.env.VFIO_HOST_URL ?? 'http://127.0.0.1:8080';

/** A fresh host on this server, with one open device. `call` answers status and body. */
async function rig(driver) {
  const name = `check-${randomUUID()}`;
  const call = async (method, path, body = {}) => {
    const response = await fetch(URL_ + path, {
      method,
      headers: { 'x-rig': name, 'content-type': 'application/json' },
      body: method === 'GET' ? undefined : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
  };
  await call('POST', '/v1/containers', { container: 'c0' });
  await call('POST', '/v1/devices', { device: 'd0', driver });
  const { status, body } = await call('POST', '/v1/containers/c0/attach', { device: 'd0' });
  assert.equal(status, 200, JSON.stringify(body));
  return { call, end: () => call('DELETE', `/v1/rigs/${name}`) };
}

/** Maps 16 pages, pins the sixth, and unmaps. */
async function unmapWithPin({ call }) {
  const range = { iova: '0x10000', size: '0x10000' };
  await call('POST', '/v1/containers/c0/map-dma', { ...range, vaddr: '0x10000', flags: ['read', 'write'] });
  await call('POST', '/v1/devices/d0/pin-pages', { iova: '0x15000', npage: 1, prot: ['read', 'write'] });
  return call('POST', '/v1/containers/c0/unmap-dma', range);
}

describe('an unmap of a range with a pinned page', { concurrency: true }, () => {
  test('a driver that unpins the range is asked once', async () => {
    const host = await rig({ type: 'synthetic', onDmaUnmap: 'unpin-range' });
    const { status, body } = await unmapWithPin(host);
    assert.equal(status, 200);
    assert.equal(body.invalidations.length, 1);
    await host.end();
  });

  test('a driver that unpins the first page only is asked eleven times, then the task is dead', async () => {
    const host = await rig({ type: 'synthetic', onDmaUnmap: 'unpin-first-page' });
    const { status, body } = await unmapWithPin(host);
    assert.equal(status, 409);
    assert.equal(body.killed, true);
    assert.equal(body.invalidations.length, 11);
    assert.equal(body.splat.function, 'vfio_dma_do_unmap');
    await host.end();
  });
});
