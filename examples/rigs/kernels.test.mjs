import { startVfioHost, vfioMatchers } from 'vfio-host/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

expect.extend(vfioMatchers);
const KERNELS = ['5.10', '6.1', '6.12', '7.2', '6.12-iommufd'];

let host;
beforeAll(async () => {
  host = await startVfioHost({ command: process.env.VFIO_HOST_COMMAND?.split(' ') });
});
afterAll(() => host?.stop());

/** A rig of its own: sixteen pages are mapped, of which the driver has pinned one. */
async function rigWith(kernel, onDmaUnmap) {
  const rig = host.rig(`${onDmaUnmap}-${kernel}`);
  const mappings = [{ iova: 0x10000, vaddr: 0, size: 0x10000, flags: ['read', 'write'] }];
  const pins = [{ iova: 0x15000, npage: 1, prot: ['read'] }];
  const driver = { type: 'synthetic', onDmaUnmap };
  await rig.setup({
    kernel,
    containers: [{ container: 'c0', mappings }],
    devices: [{ driver, container: 'c0', pins }],
  });
  return rig;
}

describe.concurrent.each(KERNELS)('Linux %s', (kernel) => {
  test('a driver that walks the range gives its page back', async () => {
    const rig = await rigWith(kernel, 'unpin-range');
    await rig.container('c0').unmapDma({ iova: 0x10000, size: 0x10000 });
    await expect(rig).toHaveVerdictOk();
  });

  test('a driver that looks at the first page only ends in a splat, with its page pinned', async () => {
    const rig = await rigWith(kernel, 'unpin-first-page');
    await expect(rig.container('c0').unmapDma({ iova: 0x10000, size: 0x10000 })).rejects.toThrow();
    await expect(rig.container('c0')).toHavePinned([0x15000]);
    await expect(rig).not.toHaveNoSplats();
  });
});
