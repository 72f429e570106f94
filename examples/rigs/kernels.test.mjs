import { startVfioHost, vfioMatchers } from 'vfio-host/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

expect.extend(vfioMatchers);
const RW = ['read', 'write'];

let host;
beforeAll(async () => {
  host = await startVfioHost({ command: process.env.VFIO_HOST_COMMAND?.split(' ') });
});
afterAll(() => host?.stop());

/** A rig of its own with sixteen pages mapped, of which the driver has pinned one. */
async function rigWith(kernel, onDmaUnmap) {
  const rig = host.rig(`${onDmaUnmap}-${kernel}`);
  await rig.reset({ kernel });
  await rig.openContainer({ container: 'c0' });
  await rig.createDevice({ device: 'd0', driver: { type: 'synthetic', onDmaUnmap } });
  const c0 = rig.container('c0');
  await c0.attach('d0');
  await c0.mapDma({ iova: 0x10000, vaddr: 0, size: 0x10000, flags: RW });
  await rig.device('d0').pinPages({ iova: 0x15000, npage: 1, prot: RW });
  await expect(c0).toHavePinned([0x15000]);
  return { rig, c0 };
}

describe.concurrent.each(['5.10', '6.1', '6.12', '7.2'])('Linux %s', (kernel) => {
  test('a driver that walks the range gives its page back', async () => {
    const { rig, c0 } = await rigWith(kernel, 'unpin-range');
    await c0.unmapDma({ iova: 0x10000, size: 0x10000 });
    await expect(c0).toHavePinned([]);
    await expect(rig).toHaveVerdictOk('mappings');
    await expect(rig).toHaveNoSplats();
  });

  test('a driver that looks at the first page only kills the caller', async () => {
    const { rig, c0 } = await rigWith(kernel, 'unpin-first-page');
    await expect(c0.unmapDma({ iova: 0x10000, size: 0x10000 })).rejects.toMatchObject({ killed: true });
    await expect(rig).not.toHaveNoSplats();
    const { splat } = await rig.events.wait({ kind: 'splat' });
    expect(splat.condition).toBe('++retries > 10');
  });
});
