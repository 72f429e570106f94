import { expect, test } from 'vitest';
import { ASYNC, ok, useRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();

const verdict = (query = '', headers: Record<string, string> = {}) =>
  rig.request('GET', `/v1/verdict${query}`, undefined, headers);

/** The checks and kinds that count against the rig. */
const unexpected = (body: { findings: { kind: string; expected: boolean }[] }) =>
  body.findings.filter(({ expected }) => !expected).map(({ kind }) => kind);

test('a rig on which nothing has happened is ok', async () => {
  const { status, body } = await verdict();
  expect(status).toBe(200);
  expect(body).toMatchObject({ ok: true, rig: 'default', kernel: '6.1', findings: [], splats: {}, pins: 0 });
});

test('a driver that gives its pins back, and a container that is emptied and closed: ok', async () => {
  await rig.container(synthetic('unpin-range'));
  await rig.map('0x10000', '0x2000');
  await rig.pin('0x10000');
  expect((await verdict()).status).toBe(409);
  await ok(rig.unmap('0x10000', '0x2000'));
  expect((await verdict()).status).toBe(200);
});

test('a BUG_ON is a 409 that names the splat, its advisory, the wedged container and what is left in it', async () => {
  await rig.container(synthetic('ignore'));
  await rig.bug();
  const answer = await verdict();
  expectProblem(answer, { status: 409, slug: 'not-as-expected', detail: ['++retries > 10', 'rig default'] });
  expect(answer.body).toMatchObject({
    ok: false,
    splats: { BUG_ON: 1 },
    advisories: { IGNORED_INVALIDATION: 1 },
    pins: 1,
    leakedPins: 0,
    mappings: 1,
    wedged: ['c0'],
    calls: [],
  });
  expect(unexpected(answer.body as never)).toEqual([
    'BUG_ON',
    'IGNORED_INVALIDATION',
    'pins',
    'mappings',
    'wedged',
  ]);
});

test('expect=BUG_ON covers what follows from it: its advisory, the wedge, what nobody can take out any more', async () => {
  await rig.container(synthetic('ignore'));
  await rig.bug();
  const { status, body } = await verdict('?expect=BUG_ON');
  expect([status, body.ok, body.missing]).toEqual([200, true, []]);
  expect(body.findings).toHaveLength(5);
  await ok(rig.post('containers', { container: 'c1' }));
  await ok(rig.post('devices', { device: 'd1', driver: synthetic('unpin-range') }));
  await ok(rig.post('containers/c1/attach', { device: 'd1' }));
  await rig.map('0x1000', '0x1000', { container: 'c1' });
  expect(unexpected((await verdict('?expect=BUG_ON')).body as never)).toEqual(['mappings']);
  expect((await verdict('?expect=BUG_ON,mappings')).status).toBe(200);
});

test('a splat that is expected and did not come is missing; what may be left need not be', async () => {
  const answer = await verdict('?expect=BUG_ON,pins,wedged');
  expect(answer.status).toBe(409);
  expect(answer.body.missing).toEqual(['BUG_ON']);
  expect((await verdict('?expect=pins,wedged')).status).toBe(200);
});

test('a word that names nothing is refused with the words there are', async () => {
  expectProblem(await verdict('?expect=BUGON'), {
    status: 400,
    slug: 'invalid-request',
    detail: ['"BUGON"', 'BUG_ON', 'leaked-pins', 'IGNORED_INVALIDATION'],
  });
});

test('pins of a device that was closed are leaked, and say whose', async () => {
  await rig.container(synthetic('ignore'));
  await rig.map('0x10000', '0x2000');
  await ok(rig.post('devices/d0/pin-pages', { iova: '0x10000', npage: 2, prot: ['read'] }));
  await ok(rig.post('devices/d0/close-device'));
  const { body } = await verdict('?expect=mappings');
  expect(body).toMatchObject({ leakedPins: 2, pins: 2, advisories: { PIN_LEAKED_AT_CLOSE: 1 } });
  expect(unexpected(body as never)).toEqual(['PIN_LEAKED_AT_CLOSE', 'leaked-pins']);
  expect(JSON.stringify(body.findings)).toContain('2 of d0');
  expect((await verdict('?expect=mappings,leaked-pins')).status).toBe(200);
});

test('a call under way counts until it has ended', async () => {
  await rig.container(synthetic('unpin-range', { holdCallbacks: true }));
  await rig.map('0x10000', '0x1000');
  await rig.pin('0x10000');
  expect((await rig.unmap('0x10000', '0x1000', ASYNC)).status).toBe(202);
  const { body } = await verdict('?expect=pins,mappings');
  expect(body.calls).toEqual(['unmap-dma waits for the dma-unmap callback of d0']);
  expect(unexpected(body as never)).toEqual(['calls']);
  await ok(rig.post('devices/d0/resume-callbacks'));
  expect((await verdict()).status).toBe(200);
});

test('a webhook that nobody answers is undelivered, with the reason', async () => {
  await rig.container({ type: 'webhook', url: 'http://127.0.0.1:1/', timeoutMs: 500 });
  await rig.map('0x10000', '0x1000');
  await rig.pin('0x10000');
  await rig.unmap('0x10000', '0x1000');
  const { body } = await verdict('?expect=BUG_ON');
  expect(body.webhooks).toEqual({ delivered: 0, undelivered: 11 });
  expect(unexpected(body as never)).toEqual(['webhooks']);
  expect(JSON.stringify(body.findings)).toContain('ECONNREFUSED');
});

test('what was met is forgotten by a reset, and by nothing else', async () => {
  await rig.container(synthetic('ignore'));
  await rig.bug();
  expect((await verdict()).status).toBe(409);
  expect((await verdict()).body.splats).toEqual({ BUG_ON: 1 });
  await rig.post('reset');
  expect((await verdict()).status).toBe(200);
});

test('a rig that panicked is not ok, and says the line', async () => {
  await ok(rig.post('set-parameters', { panicOnOops: true }));
  await rig.container(synthetic('ignore'));
  await rig.bug();
  const { status, body } = await verdict('?expect=BUG_ON');
  expect(status).toBe(409);
  expect(body.panic).toContain('Kernel panic');
  expect((await verdict('?expect=BUG_ON,panic')).status).toBe(200);
});

test('rigs=all has a verdict for each; what is expected may come in any of them', async () => {
  await rig.post('containers', {}, { 'x-rig': 'Good' });
  await rig.container(synthetic('ignore'));
  await rig.bug();
  const { status, body } = await verdict('?rigs=all');
  expect(status).toBe(409);
  expect(body.rigs.map((one: { rig: string; ok: boolean }) => [one.rig, one.ok])).toEqual([
    ['Good', true],
    ['default', false],
  ]);
  expect((await verdict('?rigs=all&expect=BUG_ON')).status).toBe(200);
  const missing = await verdict('?rigs=all&expect=BUG_ON,WARN_ON');
  expect([missing.status, missing.body.missing]).toEqual([409, ['WARN_ON']]);
});

test('the verdict of a rig that is not there is a 404', async () => {
  expect((await verdict('', { 'x-rig': 'nobody' })).status).toBe(404);
});

test('text/plain is lines to read, JUnit has a test a check, both with the status of the verdict', async () => {
  await rig.container(synthetic('ignore'));
  await rig.bug();
  const as = async (accept: string, query = '') => {
    const answer = await rig.app.inject({ url: `/v1/verdict${query}`, headers: { accept } });
    return { status: answer.statusCode, type: String(answer.headers['content-type']), text: answer.body };
  };
  const text = await as('text/plain');
  expect([text.status, text.type]).toEqual([409, 'text/plain; charset=utf-8']);
  expect(text.text).toContain('rig default (Linux 6.1): not ok\n');
  expect(text.text).toContain('  FAIL  BUG_ON vfio_dma_do_unmap: ++retries > 10 (unmap-dma on c0)\n');
  expect(text.text).toContain('  ok    no calls under way\n');
  const junit = await as('application/xml;q=0.9, text/html');
  expect([junit.status, junit.type]).toEqual([409, 'application/xml; charset=utf-8']);
  expect(junit.text).toContain('<testsuite name="rig default" tests="10" failures="5"');
  expect(junit.text).toContain('<failure message="vfio_dma_do_unmap: ++retries &gt; 10 (unmap-dma on c0)">');
  const passed = await as('text/xml', '?expect=BUG_ON');
  expect([passed.status, passed.text.includes('failures="0"')]).toEqual([200, true]);
  expect((await as('*/*')).type).toContain('json');
});
