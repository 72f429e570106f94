import { afterEach, expect, test } from 'vitest';
import { type DriverServer, driverServer } from '../harness/driver-server.ts';
import { type HttpRig, startRig, useRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';
import { parseExposition, type Sample } from './exposition.ts';

const rig = useRig();
const open: DriverServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function scrape(from: HttpRig = rig): Promise<{ samples: Sample[]; types: Record<string, string> }> {
  const response = await from.app.inject('/metrics');
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
  return parseExposition(response.body);
}

/** The samples of a metric as label values and value, by their labels. */
async function samplesOf(name: string): Promise<unknown[][]> {
  const { samples } = await scrape();
  return samples
    .filter((sample) => sample.name === `vfio_host_${name}`)
    .map(({ labels, value }) => [...Object.values(labels), value])
    .sort((a, b) => (String(a) < String(b) ? -1 : 1));
}

async function must(url: string, body: object = {}): Promise<void> {
  const answer = await rig.http('POST', `/v1/${url}`, body);
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
}

/** A container c0 with an open mdev d0, 16 pages mapped at 0x10000, and a pin on the first. */
async function pinned(driver: object): Promise<void> {
  await must('containers', { container: 'c0' });
  await must('devices', { device: 'd0', driver });
  await must('containers/c0/attach', { device: 'd0' });
  await must('containers/c0/map-dma', { iova: '0x10000', vaddr: 0, size: '0x10000', flags: ['read'] });
  await must('devices/d0/pin-pages', { iova: '0x10000', npage: 1, prot: ['read'] });
}

const unmap = () => rig.http('POST', '/v1/containers/c0/unmap-dma', { iova: '0x10000', size: '0x10000' });

/** Starts the unmap and returns when it waits, with what gives its answer. */
async function unmapWaiting(): Promise<() => Promise<Record<string, unknown>>> {
  const body = { iova: '0x10000', size: '0x10000' };
  const started = await rig.http('POST', '/v1/containers/c0/unmap-dma', body, { prefer: 'respond-async' });
  expect(started.status).toBe(202);
  return async () => {
    const operation = await rig.http('GET', `/v1/operations/${started.body.operation}?wait=1`);
    return (operation.body.answer as { body: Record<string, unknown> }).body;
  };
}

test('requests count by method, pattern of the route, and status', async () => {
  await must('containers', { container: 'c0' });
  await rig.http('POST', '/v1/containers', { container: 'c0' });
  await rig.http('GET', '/v1/containers/c0');
  await rig.http('GET', '/v1/containers/c1');
  expect(await samplesOf('http_requests_total')).toEqual([
    ['GET', '/v1/containers/:container', '200', 1],
    ['GET', '/v1/containers/:container', '404', 1],
    ['POST', '/v1/containers', '201', 1],
    ['POST', '/v1/containers', '409', 1],
  ]);
});

test('requests no route serves are one series, whatever their method and path', async () => {
  await rig.http('GET', '/nowhere');
  await rig.http('GET', '/v1/nowhere/else?x=1');
  await rig.http('SEARCH', '/nowhere');
  expect(await samplesOf('http_requests_total')).toEqual([
    ['GET', 'none', '404', 2],
    ['other', 'none', '404', 1],
  ]);
});

test('durations are a histogram in seconds, by method and route', async () => {
  await rig.http('GET', '/v1/containers');
  const { samples, types } = await scrape();
  expect(types.vfio_host_http_request_duration_seconds).toBe('histogram');
  const of = (part: string) =>
    samples.filter(({ name }) => name === `vfio_host_http_request_duration_seconds_${part}`);
  const labels = { method: 'GET', route: '/v1/containers' };
  expect(of('count')).toEqual([expect.objectContaining({ labels, value: 1 })]);
  expect(of('sum')[0]!.value).toBeGreaterThan(0);
  expect(of('sum')[0]!.value).toBeLessThan(60);
  expect(of('bucket').at(-1)).toMatchObject({ labels: { ...labels, le: '+Inf' }, value: 1 });
});

test('calls count by name and errno; killed and wedged are told apart', async () => {
  await pinned(synthetic('ignore'));
  await rig.http('POST', '/v1/containers', { container: 'c0' });
  expect((await unmap()).body.killed).toBe(true);
  expect((await unmap()).status).toBe(423);
  expect(await samplesOf('calls_total')).toEqual([
    ['create-device', '', 1],
    ['map-dma', '', 1],
    ['open-container', '', 1],
    ['open-container', 'EEXIST', 1],
    ['open-device', '', 1],
    ['open-group', '', 1],
    ['pin-pages', '', 1],
    ['set-container', '', 1],
    ['set-iommu', '', 1],
    ['unmap-dma', 'killed', 1],
    ['unmap-dma', 'wedged', 1],
  ]);
});

test('a call that a reset ends counts as abandoned', async () => {
  await pinned({ ...synthetic('unpin-range'), holdCallbacks: true });
  await unmapWaiting();
  expect(await samplesOf('pending_calls')).toEqual([[1]]);
  await must('reset');
  expect(await samplesOf('calls_total')).toContainEqual(['unmap-dma', 'abandoned', 1]);
});

test('a request that names nothing is no call', async () => {
  await rig.http('POST', '/v1/containers/c9/dirty-start');
  expect(await samplesOf('calls_total')).toEqual([]);
});

test('splats count by id, kind and function', async () => {
  await pinned(synthetic('ignore'));
  await unmap();
  await must('reset');
  await must('processes/p0/set-memlock', { bytes: 4096 });
  await pinned(synthetic('unpin-range'));
  await must('devices/d0/unpin-pages', { iova: '0x10000', npage: 600 });
  await rig.http('POST', '/v1/devices/d0/pin-pages', { iova: '0x11000', npage: 2, prot: 1 });
  expect(await samplesOf('splats_total')).toEqual([
    ['B1', 'BUG_ON', 'vfio_dma_do_unmap', 1],
    ['C2', 'WARN_ON', 'vfio_unpin_pages', 1],
    ['L2', 'PR_WARN', 'vfio_pin_page_external', 1],
  ]);
});

test('a deadlock counts as a splat, and its calls as EDEADLK', async () => {
  await pinned({ ...synthetic('unpin-range'), holdCallbacks: true });
  const first = await unmapWaiting();
  const second = await unmapWaiting();
  await rig.http('POST', '/v1/devices/d0/resume-callbacks');
  expect([(await first()).errno, (await second()).errno]).toEqual(['EDEADLK', 'EDEADLK']);
  expect(await samplesOf('calls_total')).toContainEqual(['unmap-dma', 'EDEADLK', 2]);
  const splats = await samplesOf('splats_total');
  expect(splats.map((labels) => labels.slice(0, 3))).toEqual([['DEADLOCK', 'DEADLOCK', 'vfio_iommu_type1']]);
});

test('advisories count by kind', async () => {
  await pinned(synthetic('unpin-range'));
  await must('devices/d0/unpin-pages', { iova: '0x11000', npage: 1 });
  expect(await samplesOf('advisories_total')).toEqual([['UNPIN_NOT_PINNED', 1]]);
});

test('callbacks of a built-in driver count as such, each delivery', async () => {
  await pinned(synthetic('ignore'));
  await unmap();
  expect(await samplesOf('callbacks_total')).toEqual([['built-in', 11]]);
});

test('callbacks of a webhook count by how they ended', async () => {
  let asked = 0;
  const driver = await driverServer((_callback, response) => {
    if (asked++ === 0) response.writeHead(500).end();
    else response.end(JSON.stringify({ unpin: [{ iova: '0x10000', npage: 1 }] }));
  });
  open.push(driver);
  await pinned({ type: 'webhook', url: driver.url });
  expect((await unmap()).status).toBe(200);
  const counts = Object.fromEntries(await samplesOf('callbacks_total')) as Record<string, number>;
  expect(counts.returned).toBe(1);
  expect(counts.failed).toBe(asked - 1);
});

test('callbacks left to complete-callback count as manual', async () => {
  await pinned({ type: 'manual' });
  const answer = await unmapWaiting();
  await must('devices/d0/unpin-pages', { iova: '0x10000', npage: 1 });
  await must('devices/d0/complete-callback');
  expect(await answer()).toMatchObject({ size: '0x10000' });
  expect(await samplesOf('callbacks_total')).toEqual([['manual', 1]]);
});

test('gauges are sums over the rigs, without a label', async () => {
  await pinned(synthetic('unpin-range'));
  await rig.http('POST', '/v1/containers', {}, { 'x-rig': 'other' });
  for (const [name, value] of [
    ['rigs', 2],
    ['containers', 2],
    ['mappings', 1],
    ['pins', 1],
    ['pending_calls', 0],
  ]) {
    expect(await samplesOf(name as string), name as string).toEqual([[value]]);
  }
  const seqs = rig.service.rigs.list().map(({ host }) => host.journal.seq);
  expect(await samplesOf('journal_seq')).toEqual([[seqs[0]! + seqs[1]!]]);
});

test('a reset empties the gauges, not the counters', async () => {
  await pinned(synthetic('unpin-range'));
  await must('reset');
  expect([await samplesOf('containers'), await samplesOf('mappings'), await samplesOf('pins')]).toEqual([
    [[0]],
    [[0]],
    [[0]],
  ]);
  expect(await samplesOf('calls_total')).toContainEqual(['map-dma', '', 1]);
});

test('traces that are replayed on the side count as requests only', async () => {
  const steps = [{ call: 'open-container', container: 'c0' }];
  await must('replay', { id: 't', steps });
  expect(await samplesOf('calls_total')).toEqual([]);
});

test('the process has its metrics, the event loop’s lag among them', async () => {
  const { samples } = await scrape();
  const names = new Set(samples.map(({ name }) => name));
  for (const name of [
    'nodejs_eventloop_lag_p99_seconds',
    'process_cpu_seconds_total',
    'nodejs_version_info',
  ]) {
    expect(names).toContain(name);
  }
});

test('two services in one process count apart', async () => {
  const second = await startRig();
  await must('containers');
  const { samples } = await scrape(second);
  await second.close();
  expect(samples.filter(({ name }) => name === 'vfio_host_calls_total')).toEqual([]);
});

test('no label has a rig, a device or a URL in it', async () => {
  await rig.http(
    'POST',
    '/v1/devices',
    { device: 'dev-42', driver: synthetic('ignore') },
    { 'x-rig': 'rig-42' },
  );
  await rig.http('POST', '/v1/devices/dev-42/open-group?', {}, { 'x-rig': 'rig-42' });
  const { samples } = await scrape();
  expect(JSON.stringify(samples)).not.toMatch(/dev-42|rig-42|\?/);
});
