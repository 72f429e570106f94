import { beforeAll, describe, expect, test } from 'vitest';
import { type Answer, ok, startRig, useOneRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useOneRig();
let bug: Answer;

/**
 * Container c0 after a BUG_ON, with devices in every state that matters there, and container v1 beside it. No
 * test changes anything in c0's lock, so all share it.
 */
beforeAll(async () => {
  await ok(rig.post('containers', { container: 'c0' }));
  await rig.create('d0', synthetic('ignore'), { type: 'type1v2' });
  await ok(rig.post('devices/d0/open-device'));
  await rig.create('listener-closed', synthetic('unpin-range'));
  await rig.create('listener-open', synthetic('unpin-range'));
  await ok(rig.post('devices/listener-open/open-device'));
  await rig.create('listener-open-2', synthetic('unpin-range'));
  await ok(rig.post('devices/listener-open-2/open-device'));
  await rig.create('listener-open-twice', synthetic('unpin-range'));
  await ok(rig.post('devices/listener-open-twice/open-device'));
  await ok(rig.post('devices/listener-open-twice/open-device'));
  await rig.create('silent-closed', synthetic('no-callback'));
  await rig.create('silent-closed-2', synthetic('no-callback'));
  await rig.create('silent-open', synthetic('no-callback'));
  await ok(rig.post('devices/silent-open/open-device'));
  await ok(rig.post('devices', { device: 'outside', driver: synthetic('ignore') }));
  await ok(rig.post('devices/outside/open-group'));
  await ok(rig.post('devices', { device: 'outside-closed', driver: synthetic('ignore') }));
  await ok(rig.post('containers', { container: 'v1' }));
  await rig.create('d-v1', synthetic('ignore'), { container: 'v1', type: 'type1' });
  await ok(rig.post('devices/d-v1/open-device'));
  bug = await rig.bug();
  expect(bug.body.killed).toBe(true);
});

const MAP = { iova: '0x50000', vaddr: 0, size: '0x1000', flags: 3 };
const RANGE = { iova: '0x10000', size: '0x1000' };
const PIN = { iova: '0x10000', npage: 1, prot: 3 };

describe('after the BUG_ON 423 is the answer to', () => {
  test.each([
    ['map-dma', 'POST', 'containers/c0/map-dma', MAP],
    [
      'map-dma of size 0, which is looked at under the lock',
      'POST',
      'containers/c0/map-dma',
      { ...MAP, size: 0 },
    ],
    ['unmap-dma', 'POST', 'containers/c0/unmap-dma', RANGE],
    ['unmap-dma of nothing that is mapped', 'POST', 'containers/c0/unmap-dma', { ...RANGE, iova: '0x90000' }],
    ['unmap-dma of all', 'POST', 'containers/c0/unmap-dma', { iova: 0, size: 0, flags: ['all'] }],
    ['iommu-info', 'GET', 'containers/c0/iommu-info', undefined],
    ['dirty-start', 'POST', 'containers/c0/dirty-start', {}],
    ['dirty-stop', 'POST', 'containers/c0/dirty-stop', {}],
    ['dirty-get', 'POST', 'containers/c0/dirty-get', { ...RANGE, pageSize: 4096 }],
    ['dirty-flags of one known flag', 'POST', 'containers/c0/dirty-flags', { flags: 2 }],
    ['check-extension 4', 'POST', 'containers/c0/check-extension', { extension: 4 }],
    ['check-extension 10', 'POST', 'containers/c0/check-extension', { extension: 10 }],
    ['pin-pages of the device that was called', 'POST', 'devices/d0/pin-pages', PIN],
    ['pin-pages of another device', 'POST', 'devices/listener-open/pin-pages', PIN],
    ['pin-pages of a device without dma_unmap', 'POST', 'devices/silent-open/pin-pages', PIN],
    ['unpin-pages', 'POST', 'devices/d0/unpin-pages', { iova: '0x10000', npage: 1 }],
    ['dma-rw that reads', 'POST', 'devices/d0/dma-rw', { iova: '0x10000', write: false, length: 1 }],
    ['dma-rw that writes', 'POST', 'devices/d0/dma-rw', { iova: '0x10000', write: true, data: 'QQ==' }],
    ['open-device of a device with dma_unmap', 'POST', 'devices/listener-closed/open-device', {}],
    ['close-device for the last time', 'POST', 'devices/listener-open/close-device', {}],
    ['close-device of the device that was called', 'POST', 'devices/d0/close-device', {}],
    ['set-container into it', 'POST', 'devices/outside/set-container', { container: 'c0' }],
    ['unset-container from it', 'POST', 'devices/silent-closed/unset-container', {}],
    ['close-group, which would leave it', 'POST', 'devices/silent-closed/close-group', {}],
    ['remove-device, which would leave it', 'DELETE', 'devices/silent-closed', undefined],
    ['close-container', 'DELETE', 'containers/c0', undefined],
    ['attach', 'POST', 'containers/c0/attach', { device: 'outside-closed' }],
  ])('%s, and nothing changes', async (_name, method, path, body) => {
    const before = await rig.state();
    const answer = await rig.request(method, `/v1/${path}`, body);
    expectProblem(answer, { status: 423, slug: 'container-wedged' });
    expect(answer.body.splat).toEqual(bug.body.splat);
    expect(answer.body).not.toHaveProperty('killed');
    expect(await rig.state()).toEqual(before);
  });
});

describe('after the BUG_ON the kernel still answers', () => {
  test.each([
    ['map-dma with an unknown flag', 'containers/c0/map-dma', { ...MAP, flags: 8 }, 'EINVAL', 422],
    ['map-dma with no flag', 'containers/c0/map-dma', { ...MAP, flags: [] }, 'EINVAL', 422],
    [
      'map-dma with vaddr and read',
      'containers/c0/map-dma',
      { ...MAP, flags: ['read', 'vaddr'] },
      'EINVAL',
      422,
    ],
    ['unmap-dma with an unknown flag', 'containers/c0/unmap-dma', { ...RANGE, flags: 8 }, 'EINVAL', 422],
    [
      'unmap-dma with a bitmap of all',
      'containers/c0/unmap-dma',
      { ...RANGE, flags: ['get-dirty-bitmap', 'all'] },
      'EINVAL',
      422,
    ],
    [
      'unmap-dma with a bitmap but no pageSize',
      'containers/c0/unmap-dma',
      { ...RANGE, flags: 1 },
      'EINVAL',
      422,
    ],
    ['dirty-flags with two flags', 'containers/c0/dirty-flags', { flags: 3 }, 'EINVAL', 422],
    [
      'dirty-get of a bitmap without a bit',
      'containers/c0/dirty-get',
      { iova: 0, size: 0, pageSize: 4096 },
      'EINVAL',
      422,
    ],
    [
      'dirty-get up to 2^64',
      'containers/c0/dirty-get',
      { iova: '0xfffffffffffff000', size: 4096, pageSize: 4096 },
      'EINVAL',
      422,
    ],
    ['set-iommu', 'containers/c0/set-iommu', { type: 'type1v2' }, 'EINVAL', 422],
    ['pin-pages of no page', 'devices/d0/pin-pages', { ...PIN, npage: 0 }, 'EINVAL', 422],
    ['pin-pages of 513 pages', 'devices/d0/pin-pages', { ...PIN, npage: 513 }, 'E2BIG', 422],
    ['dma-rw of no byte', 'devices/d0/dma-rw', { iova: 0, write: false, length: 0 }, 'EINVAL', 422],
    ['unset-container with the device open', 'devices/d0/unset-container', {}, 'EBUSY', 409],
    ['set-container of a group that has one', 'devices/d0/set-container', { container: 'v1' }, 'EINVAL', 422],
    ['open-group of an open group', 'devices/d0/open-group', {}, 'EBUSY', 409],
    ['attach of a group that is open', 'containers/c0/attach', { device: 'd0' }, 'EBUSY', 409],
  ])('%s with its errno', async (_name, path, body, errno, status) => {
    const before = await rig.state();
    expectProblem(await rig.post(path, body), { status, errno });
    expect(await rig.state()).toEqual(before);
  });

  test.each([1, 3, 6, 9])('check-extension %i with 1', async (extension) => {
    expect(await ok(rig.post('containers/c0/check-extension', { extension }))).toEqual({ value: 1 });
  });

  test('check-extension of an extension nobody has with 0', async () => {
    expect(await ok(rig.post('containers/c0/check-extension', { extension: 2 }))).toEqual({ value: 0 });
  });

  test('group-status with 3', async () => {
    for (const device of ['d0', 'listener-closed', 'silent-open']) {
      expect(await ok(rig.post(`devices/${device}/group-status`))).toEqual({ value: 3 });
    }
  });

  test('unpin-pages of no page with its warning', async () => {
    const { log } = await ok(rig.post('devices/d0/unpin-pages', { iova: 0, npage: 0 }));
    expect(log).toMatchObject([{ kind: 'WARN_ON', function: 'vfio_unpin_pages' }]);
  });

  test('pin-pages of a closed device with EINVAL and its warning', async () => {
    const answer = await rig.post('devices/listener-closed/pin-pages', PIN);
    expectProblem(answer, { status: 422, errno: 'EINVAL' });
    expect(answer.body.log).toMatchObject([{ kind: 'WARN_ON_ONCE', function: 'vfio_assert_device_open' }]);
  });

  test('open-device and close-device of a device without dma_unmap', async () => {
    await ok(rig.post('devices/silent-closed-2/open-device'));
    expect((await rig.get('devices/silent-closed-2')).body.openCount).toBe(1);
    await ok(rig.post('devices/silent-closed-2/close-device'));
    expect((await rig.get('devices/silent-closed-2')).body.openCount).toBe(0);
  });

  // It is registered already: only the first open of a device takes the container's lock.
  test('open-device of a device with dma_unmap that is open already', async () => {
    await ok(rig.post('devices/listener-open-2/open-device'));
    expect((await rig.get('devices/listener-open-2')).body.openCount).toBe(2);
  });

  test('close-device of a device with dma_unmap that stays open', async () => {
    await ok(rig.post('devices/listener-open-twice/close-device'));
    expect((await rig.get('devices/listener-open-twice')).body.openCount).toBe(1);
  });

  test('close-group with its device open, which leaves the container later', async () => {
    await ok(rig.post('devices/silent-open/close-group'));
    expect((await rig.get('devices/silent-open')).body).toMatchObject({ groupOpen: false, container: 'c0' });
  });

  test('GET of the container with the splat that wedged it, its mapping and the pin that is left', async () => {
    expect((await rig.get('containers/c0')).body).toMatchObject({
      open: true,
      wedged: bug.body.splat,
      iommu: { mappings: 1, pins: 1 },
    });
    expect((await rig.get('containers/c0/mappings')).body.mappings).toMatchObject([
      { iova: '0x10000', size: '0x1000', pins: 1 },
    ]);
    expect((await rig.get('containers/c0/pins')).body.pins).toMatchObject([
      { iova: '0x10000', refCount: 1, devices: [{ device: 'd0', count: 1 }] },
    ]);
  });

  test('GET /v1 with the taint D', async () => {
    expect((await rig.request('GET', '/v1')).body.taint).toContain('D');
  });

  test('every call on another container', async () => {
    await ok(rig.post('containers', { container: 'c1' }));
    await rig.create('d-c1', synthetic('unpin-range'), { container: 'c1', type: 'type1v2' });
    await ok(rig.post('devices/d-c1/open-device'));
    await rig.map('0x10000', '0x1000', { container: 'c1' });
    await rig.pin('0x10000', 'd-c1');
    const { size } = await ok(rig.post('containers/c1/unmap-dma', RANGE));
    expect(size).toBe('0x1000');
  });

  test('pin-pages in a v1 container with EACCES, unpin-pages there with its warning', async () => {
    expectProblem(await rig.tryPin('0x10000', 'd-v1'), { status: 403, errno: 'EACCES' });
    const { log } = await ok(rig.post('devices/d-v1/unpin-pages', { iova: 0, npage: 1 }));
    expect(log).toMatchObject([{ kind: 'WARN_ON', function: 'vfio_iommu_type1_unpin_pages' }]);
  });
});

describe('a BUG_ON without any callback', () => {
  test('unmap-dma of pins a closed device left, with no other device open, dies at once', async () => {
    const fresh = await startRig();
    try {
      await ok(fresh.post('containers', { container: 'c0' }));
      await fresh.create('d0', synthetic('unpin-range'), { type: 'type1v2' });
      await ok(fresh.post('devices/d0/open-device'));
      await fresh.map('0x10000', '0x1000');
      await fresh.pin('0x10000');
      await ok(fresh.post('devices/d0/close-device'));
      const answer = await fresh.unmap('0x10000', '0x1000');
      expectProblem(answer, { status: 409, slug: 'kernel-bug' });
      expect(answer.body).not.toHaveProperty('invalidations');
      expectProblem(await fresh.tryMap('0x20000', '0x1000'), { status: 423 });
    } finally {
      await fresh.close();
    }
  });

  test('reset after a BUG_ON leaves nothing wedged', async () => {
    const fresh = await startRig();
    try {
      for (let i = 0; i < 2; i++) {
        await ok(fresh.post('containers', { container: 'c0' }));
        await fresh.create('d0', synthetic('ignore'), { type: 'type1v2' });
        await ok(fresh.post('devices/d0/open-device'));
        expect((await fresh.bug()).body.killed).toBe(true);
        await ok(fresh.post('reset'));
      }
      expect((await fresh.request('GET', '/v1')).body.taint).toEqual([]);
    } finally {
      await fresh.close();
    }
  });
});
