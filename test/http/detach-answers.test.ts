import { beforeEach, expect, test } from 'vitest';
import { useRig } from '../harness/http-rig.ts';

const rig = useRig();
beforeEach(async () => {
  for (const container of ['c0', 'c1']) await rig.http('POST', '/v1/containers', { container });
  await rig.http('POST', '/v1/devices', { driver: { type: 'synthetic', onDmaUnmap: 'ignore' } });
  await rig.http('POST', '/v1/containers/c0/attach', { device: 'd0' });
});

test('detach from a container the device is not in is refused, and detaches nothing', async () => {
  const { status, body } = await rig.http('POST', '/v1/containers/c1/detach', { device: 'd0' });
  expect([status, body.detail]).toEqual([409, 'device "d0" is in container "c0", not in "c1"']);
  expect((await rig.http('GET', '/v1/devices/d0')).body).toMatchObject({ container: 'c0', openCount: 1 });
});

test('detach says what the kernel printed and what it let pass', async () => {
  const map = { iova: 0, vaddr: 0, size: 4096, flags: 3 };
  await rig.http('POST', '/v1/containers/c0/map-dma', map);
  await rig.http('POST', '/v1/devices/d0/pin-pages', { iova: 0, npage: 1, prot: 3 });
  const { status, body } = await rig.http('POST', '/v1/containers/c0/detach', { device: 'd0' });
  expect(status).toBe(200);
  expect(body.log).toEqual([expect.objectContaining({ function: 'vfio_remove_dma' })]);
  expect(body.advisories).toEqual([
    expect.objectContaining({ kind: 'PIN_LEAKED_AT_CLOSE', devices: ['d0'] }),
    expect.objectContaining({ kind: 'IOMMU_LOST', devices: ['d0'] }),
  ]);
});

test('an unknown kind of event is refused', async () => {
  const { status, body } = await rig.http('GET', '/v1/events?kind=bogus');
  expect([status, body.detail]).toEqual([
    400,
    expect.stringContaining('kind is "bogus", but must be one of call'),
  ]);
});
