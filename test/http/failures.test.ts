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

test('a client that has left when its long answer is there: that is no failure of the service', async () => {
  await rig.listen();
  const before = host().journal.seq;
  const left = new Promise((resolve) => {
    rig.app.server.once('request', (request, response) => {
      request.once('end', () => request.socket.destroy());
      response.once('close', resolve);
    });
  });
  const asked = fetch(`${rig.url}/v1/processes/p0/read-memory`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ vaddr: 0, length: 16 * 1024 * 1024 }),
  });
  await expect(asked).rejects.toThrow();
  await left;
  // The call is answered, the stream of the answer ends, and then whoever is told of that.
  await expect.poll(() => host().journal.seq).toBeGreaterThan(before + 1);
  for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
  expect(rig.service.answers.used).toBe(0);
  expect(rig.lines).toEqual([]);
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
