import { expect, test } from 'vitest';
import { useRig } from '../harness/http-rig.ts';

const rig = useRig();

/** A driver that unpins only the first page, on one kernel: warnings of an unpin, then the BUG. */
async function story(kernel: string): Promise<string[]> {
  const post = (url: string, body: unknown) => rig.http('POST', url, body);
  await post('/v1/reset', { kernel });
  await post('/v1/containers', {});
  await post('/v1/devices', { driver: { type: 'synthetic', onDmaUnmap: 'unpin-first-page' } });
  await post('/v1/containers/c0/attach', { device: 'd0' });
  await post('/v1/devices/d0/unpin-pages', { iova: '0x9000', npage: 1 });
  await post('/v1/containers/c0/map-dma', { iova: 0, vaddr: 0, size: '0x4000', flags: 3 });
  await post('/v1/devices/d0/pin-pages', { iova: '0x2000', npage: 1, prot: 3 });
  await post('/v1/containers/c0/unmap-dma', { iova: 0, size: '0x4000' });
  const response = await rig.app.inject('/v1/dmesg');
  expect(response.headers['content-type']).toBe('text/plain; charset=utf-8');
  return response.body.split('\n').map((line) => line.replace(/^\[ +\d+\.\d{6}\] /, ''));
}

test('a WARN_ON on 6.1 is cut out, names file, line and function, and taints', async () => {
  const lines = await story('6.1');
  expect(lines.slice(0, 4)).toEqual([
    '------------[ cut here ]------------',
    expect.stringMatching(
      /^WARNING: CPU: 0 PID: 1000 at drivers\/vfio\/vfio_iommu_type1\.c:1023 vfio_iommu_type1_unpin_pages\+0x[0-9a-f]+\/0x[0-9a-f]+ \[vfio_iommu_type1\]$/,
    ),
    'Modules linked in: vfio_iommu_type1 vfio mdev',
    expect.stringMatching(/^CPU: 0 PID: 1000 Comm: vfio-host Tainted: G {8}W {10}6\.1\.192 #1$/),
  ]);
  expect(lines).toContain('---[ end trace 0000000000000000 ]---');
});

test('the BUG_ON on 6.1 has the oops line and the path of an unmap', async () => {
  const lines = await story('6.1');
  const at = lines.indexOf('kernel BUG at drivers/vfio/vfio_iommu_type1.c:1481!');
  expect(lines[at + 1]).toBe('invalid opcode: 0000 [#1] PREEMPT SMP NOPTI');
  const trace = lines.slice(lines.indexOf(' <TASK>', at) + 1, lines.indexOf(' </TASK>', at));
  expect(trace.map((line) => line.trim().replace(/\+.*/, ''))).toEqual([
    'vfio_dma_do_unmap',
    'vfio_iommu_type1_ioctl',
    'vfio_fops_unl_ioctl',
    '__x64_sys_ioctl',
    'do_syscall_64',
    'entry_SYSCALL_64_after_hwframe',
  ]);
});

test('7.2 names the file first and has no PREEMPT', async () => {
  const lines = await story('7.2');
  expect(lines[1]).toMatch(
    /^WARNING: drivers\/vfio\/vfio_iommu_type1\.c:1055 at vfio_iommu_type1_unpin_pages\+0x[0-9a-f]+\/0x[0-9a-f]+ \[vfio_iommu_type1\], CPU#0: vfio-host\/1000$/,
  );
  expect(lines).toContain('Oops: invalid opcode: 0000 [#1] SMP NOPTI');
});

test('on 5.10 nothing warns, and the BUG_ON is at its own line', async () => {
  const lines = await story('5.10');
  expect(lines.filter((line) => /WARNING/.test(line))).toEqual([]);
  expect(lines).toContain('kernel BUG at drivers/vfio/vfio_iommu_type1.c:1253!');
});

test('a reset empties it', async () => {
  await story('6.1');
  await rig.http('POST', '/v1/reset');
  expect((await rig.app.inject('/v1/dmesg')).body).toBe('');
});
