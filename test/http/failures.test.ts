import { beforeEach, expect, test } from 'vitest';
import { ok, useRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig({ logLevel: 'error' });
beforeEach(() => rig.container(synthetic('unpin-range')));

const host = () => rig.service.rigs.use('default').host;
const failing = () => {
  throw new Error('injected');
};

test.each(['appendCall', 'appendAnswer', 'append'])(
  'a journal whose %s throws breaks no call: it is logged, counted, and the call takes effect',
  async (method) => {
    Object.assign(host().journal, { [method]: failing });
    await rig.map('0x0', '0x1000');
    await ok(rig.unmap('0x0', '0x1000'));
    await ok(rig.post('faults', { on: 'map-dma', nth: 1, errno: 'EIO' }));
    expect((await rig.tryMap('0x0', '0x1000')).body.errno).toBe('EIO');
    expect(rig.lines.some(({ msg }) => msg === 'a listener failed')).toBe(true);
    const { body } = await rig.app.inject('/metrics');
    expect(Number(/^vfio_host_listener_failures_total (\d+)$/m.exec(body)?.[1])).toBeGreaterThan(0);
  },
);

test('a reader of the journal that throws is let go, and nobody else notices', async () => {
  host().journal.listen(failing);
  await rig.map('0x0', '0x1000');
  await new Promise(setImmediate);
  expect(host().journal.readers).toBe(0);
  expect(rig.lines).toMatchObject([{ msg: 'a listener failed', err: { message: 'injected' } }]);
});

test('an error of the emulator itself is logged and answered 500, and the rig goes on as it was', async () => {
  const { iommu } = host().machine.container('c0') as never as { iommu: { mappings: { add: unknown } } };
  const before = await rig.request('GET', '/v1/snapshot');
  Object.assign(iommu.mappings, { add: failing });
  expectProblem(await rig.tryMap('0x0', '0x1000'), { status: 500, slug: 'internal' });
  expect(rig.lines).toMatchObject([{ msg: 'failed', err: { message: 'injected' } }]);
  delete (iommu.mappings as { add?: unknown }).add;
  expect(host().machine.underway()).toEqual([]);
  const after = await rig.request('GET', '/v1/snapshot');
  // No lock is held and nothing is mapped; only the number of the next call has gone on.
  expect(after.body.state.containers).toEqual(before.body.state.containers);
  await rig.map('0x0', '0x1000');
  await ok(rig.unmap('0x0', '0x1000'));
});
