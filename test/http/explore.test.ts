import { beforeEach, expect, test } from 'vitest';
import { ASYNC, ok, startRig, useOneRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useOneRig();
beforeEach(() => ok(rig.post('reset')));

const IGNORES = { drivers: [synthetic('ignore')], pages: 1 };

test('a search answers the shortest trace to its goal, which replay takes', async () => {
  const body = await ok(rig.post('explore', { ...IGNORES, kernel: '7.2', goal: 'BUG_ON' }));
  expect(body).toMatchObject({ ended: 'goal', found: [{ finding: 'BUG_ON:B1', calls: 3 }] });
  const [{ scenario }] = body.found;
  expect(scenario.kernel).toBe('7.2');
  expect((await ok(rig.post('replay', scenario))).differences).toEqual([]);
});

test('none within these bounds is an answer, with the bounds', async () => {
  const body = await ok(rig.post('explore', { ...IGNORES, goal: 'BUG_ON', depth: 2 }));
  expect(body).toMatchObject({ ended: 'depth', found: [], depth: 2, states: expect.any(Number) });
});

test('a search that nobody waits for is an operation, and cancelled with it: its answer is what it came to', async () => {
  const wide = { drivers: [synthetic('unpin-range'), synthetic('ignore')], pages: 4, depth: 12, seconds: 60 };
  const { status, body } = await rig.post('explore', wide, ASYNC);
  expect(status).toBe(202);
  const url = `operations/${body.operation}`;
  expect((await ok(rig.get(url))).done).toBe(false);
  // It begins in turns as well.
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  expect((await rig.del(url)).status).toBe(204);
  const { done, answer } = await ok(rig.get(`${url}?wait=1`));
  expect([done, answer.status, answer.body.ended]).toEqual([true, 200, 'stopped']);
  expect(answer.body.transitions).toBeGreaterThan(0);
});

test('a reset ends the searches of its rig', async () => {
  const wide = { drivers: [synthetic('unpin-range'), synthetic('ignore')], pages: 4, depth: 12, seconds: 60 };
  for (let i = 0; i < 8; i++) {
    expect((await rig.post('explore', wide, ASYNC)).status).toBe(202);
    await ok(rig.post('reset'));
    // It stops at its next turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
});

const searches = async () => {
  const { body } = await rig.app.inject('/metrics');
  return Number(/^vfio_host_searches (\d+)$/m.exec(body)![1]);
};

test('a rig that is deleted ends its searches', async () => {
  await expect.poll(searches, { timeout: 20_000 }).toBe(0);
  const wide = { drivers: [synthetic('unpin-range'), synthetic('ignore')], pages: 4, depth: 12, seconds: 60 };
  expect((await rig.inRig('gone').post('explore', wide, ASYNC)).status).toBe(202);
  expect(await searches()).toBe(1);
  await ok(rig.del('rigs/gone'));
  await expect.poll(searches, { timeout: 20_000 }).toBe(0);
});

test('a search for a rig that there is no room for is not begun', async () => {
  const small = await startRig({ maxRigs: 1 });
  await ok(small.inRig('a').post('reset'));
  const wide = {
    kernel: '6.1',
    drivers: [synthetic('unpin-range'), synthetic('ignore')],
    pages: 4,
    seconds: 60,
  };
  expectProblem(await small.inRig('b').post('explore', wide), { status: 429, slug: 'too-many' });
  const { body } = await small.app.inject('/metrics');
  expect(body).toContain('vfio_host_searches 0\n');
  await small.close();
});

test('searches under way have a limit', async () => {
  const wide = { drivers: [synthetic('unpin-range'), synthetic('ignore')], pages: 4, depth: 12, seconds: 60 };
  for (let i = 0; i < 4; i++) expect((await rig.post('explore', wide, ASYNC)).status).toBe(202);
  const refused = await rig.post('explore', wide, ASYNC);
  expectProblem(refused, { status: 429, slug: 'too-many' });
  expect(refused.body.detail).toContain('4 searches under way');
});

test('a call in the kernel cannot be cancelled', async () => {
  await ok(rig.post('containers', { container: 'c0' }));
  await ok(rig.post('devices', { device: 'd0', driver: { type: 'manual' } }));
  await ok(rig.post('containers/c0/attach', { device: 'd0' }));
  const mapping = { iova: '0x1000', size: '0x1000' };
  await ok(rig.post('containers/c0/map-dma', { ...mapping, vaddr: '0x0', flags: ['read'] }));
  await ok(rig.post('devices/d0/pin-pages', { iova: '0x1000', npage: 1, prot: ['read'] }));
  const { body } = await rig.post('containers/c0/unmap-dma', mapping, ASYNC);
  expectProblem(await rig.del(`operations/${body.operation}`), { status: 409, slug: 'calls-under-way' });
});

test('a trace is shrunk', async () => {
  const { found } = await ok(rig.post('explore', { ...IGNORES, goal: 'BUG_ON' }));
  const { scenario } = found[0];
  const padded = { ...scenario, steps: [{ call: 'open-container', container: 'c9' }, ...scenario.steps] };
  for (const body of [padded, { scenario: padded, goal: 'BUG_ON', seconds: 5 }]) {
    const { finding, before, after, whole } = await ok(rig.post('minimize', body));
    expect([finding, before, after, whole]).toEqual([
      'BUG_ON:B1',
      padded.steps.length,
      scenario.steps.length,
      true,
    ]);
  }
});

test.each([
  ['explore', {}, 'body/drivers is missing'],
  ['explore', { drivers: [] }, 'body/drivers is []'],
  ['explore', { ...IGNORES, goal: 'PANIC' }, 'body/goal is "PANIC", but must be BUG_ON'],
  ['explore', { ...IGNORES, depth: 13 }, 'body/depth is 13, but must be calls from 1 to 12'],
  ['explore', { ...IGNORES, kernel: '2.4' }, 'kernel is "2.4"'],
  ['explore', { drivers: [{ type: 'webhook', url: 'http://a/' }] }, 'body/drivers has a webhook'],
  ['minimize', { steps: [] }, 'the trace comes to no splat, deadlock or advisory'],
])('%s %j is refused', async (path, body, words) => {
  const refused = await rig.post(path, body);
  expectProblem(refused, { status: 400, slug: 'invalid-request' });
  expect(refused.body.detail).toContain(words);
});

test('drivers whose devices are not open when a search begins are refused in words', async () => {
  const waits = await rig.post('explore', {
    drivers: [synthetic('ignore'), { type: 'manual', openDevice: true }],
  });
  expectProblem(waits, { status: 400, detail: ['open-device of d1', 'waits for an answer from outside'] });
  const many = Array.from({ length: 9 }, () => ({ type: 'gvt-g' }));
  const refused = await rig.post('explore', { drivers: many, seconds: 1, depth: 1 });
  expect(refused.status).toBeLessThan(500);
});
