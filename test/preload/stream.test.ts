import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Config } from '../../src/config.ts';
import type { Prepared } from '../../src/run/run.ts';
import { type HttpRig, startRig } from '../harness/http-rig.ts';
import { compile, HAS_COMPILER, prepared } from './programs.ts';

const SLOW_MS = 60_000;
const WAIT = { timeout: SLOW_MS };

describe.skipIf(!HAS_COMPILER)('calls as lines of a batch', () => {
  let program: string;
  const ends: (() => Promise<unknown>)[] = [];
  beforeAll(() => {
    program = compile('stream');
  }, SLOW_MS);
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  /** A service, the paths of the requests it has had so far, and a run with it. */
  async function serve(config: Partial<Config> = {}) {
    const service = await startRig(config);
    ends.push(() => service.close());
    await service.listen();
    const paths: string[] = [];
    service.app.server.on('request', ({ url = '' }) => paths.push(url));
    return { service, paths, url: `http://127.0.0.1:${service.port}` };
  }

  async function runAt(url: string): Promise<Prepared> {
    const rig = await prepared(['vfio-pci'], { url });
    ends.push(() => rig.close());
    return rig;
  }

  /** Starts the program; whenever it waits, does something and lets it go on. */
  async function during({ env }: Prepared, args: string[], meanwhile = async () => {}) {
    const child = spawn(program, args, { env, stdio: 'pipe' });
    const closed = once(child, 'close');
    const lines: string[] = [];
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    for await (const line of createInterface(child.stdout)) {
      lines.push(line);
      await meanwhile();
      child.stdin.write('\n');
    }
    await closed;
    return { lines, stderr, code: child.exitCode };
  }

  /** How often each call was made. */
  async function made({ target }: Prepared): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { call } of (await target.trace()).steps) counts[call] = (counts[call] ?? 0) + 1;
    return counts;
  }

  const batches = (paths: readonly string[]) => paths.filter((path) => path === '/v1/batch').length;
  const single = (paths: readonly string[]) => paths.filter((path) => path.includes('map-dma')).length;
  const untilNothingGoesOn = ({ service }: HttpRig) =>
    vi.waitFor(() => expect(service.batches.count).toBe(0), WAIT);

  test('one batch has all of them, and goes with the program', WAIT, async () => {
    const { service, paths, url } = await serve();
    const rig = await runAt(url);
    const { lines, stderr, code } = await during(rig, ['100', '100']);
    expect([lines, stderr, code]).toEqual([['wrong 0', 'wrong 0'], '', 0]);
    expect([batches(paths), single(paths)]).toEqual([1, 0]);
    expect(await made(rig)).toMatchObject({ 'map-dma': 400, 'unmap-dma': 200 });
    await untilNothingGoesOn(service);
  });

  test(
    'a batch that has too many lines is gone on with in another: no call is lost or made twice',
    WAIT,
    async () => {
      const { paths, url } = await serve({ maxBatchLines: 7 });
      const rig = await runAt(url);
      const { lines, stderr } = await during(rig, ['100']);
      expect([lines, stderr]).toEqual([['wrong 0'], '']);
      expect(batches(paths)).toBeGreaterThan(40);
      expect(await made(rig)).toMatchObject({ 'map-dma': 200, 'unmap-dma': 100 });
    },
  );

  test('where a batch may have no call beside the first, calls are requests', WAIT, async () => {
    const { paths, url } = await serve({ maxBatchLines: 1 });
    const rig = await runAt(url);
    expect(await during(rig, ['10'])).toMatchObject({ lines: ['wrong 0'], stderr: '' });
    expect(single(paths)).toBe(30);
    expect(await made(rig)).toMatchObject({ 'map-dma': 20, 'unmap-dma': 10 });
  });

  test(
    'a batch that ended while the program did something else is gone on with in another',
    WAIT,
    async () => {
      const { service, paths, url } = await serve({ requestSeconds: 1 });
      const rig = await runAt(url);
      const { lines, stderr } = await during(rig, ['10', '10'], () => untilNothingGoesOn(service));
      expect([lines, stderr]).toEqual([['wrong 0', 'wrong 0'], '']);
      expect([batches(paths), single(paths)]).toEqual([2, 0]);
      expect(await made(rig)).toMatchObject({ 'map-dma': 40, 'unmap-dma': 20 });
    },
  );

  test('of many threads a few have a batch, the others make requests', WAIT, async () => {
    const { service, paths, url } = await serve();
    const rig = await runAt(url);
    const { lines, stderr } = await during(rig, ['threads', '20'], async () => {
      expect(service.service.batches.count).toBeLessThanOrEqual(8);
    });
    expect([lines, stderr]).toEqual([['wrong 0'], '']);
    expect(batches(paths)).toBeLessThanOrEqual(8);
    expect(await made(rig)).toMatchObject({ 'map-dma': 2000, 'unmap-dma': 1000 });
    await untilNothingGoesOn(service);
  });

  /** Something in between: it hands requests on when they are whole, and batches not at all where it knows none. */
  async function proxy(to: number, knowsBatches: boolean): Promise<string> {
    const server: Server = createServer(async (req, res) => {
      if (req.url === '/v1/batch' && !knowsBatches) return void res.writeHead(404).end('{}');
      const chunks: Buffer[] = [];
      try {
        for await (const chunk of req) chunks.push(chunk as Buffer);
      } catch {
        return;
      }
      const { method, url: path, headers } = req;
      const { 'transfer-encoding': _, ...rest } = headers;
      const onward = request({ port: to, host: '127.0.0.1', method, path, headers: rest, agent: false });
      onward.on('response', (response) => {
        res.writeHead(response.statusCode!, response.headers);
        response.pipe(res);
      });
      onward.end(Buffer.concat(chunks));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(async () => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  test.each([
    ['something in between hands requests on when they are whole', true],
    ['something in between knows no batches', false],
  ])('where %s, calls are requests', WAIT, async (_, knowsBatches) => {
    const { service, paths, url } = await serve();
    const rig = await runAt(url);
    const VFIO_HOST_URL = await proxy(service.port, knowsBatches);
    const seen = paths.length;
    const { lines, stderr } = await during({ ...rig, env: { ...rig.env, VFIO_HOST_URL } }, ['10', '10']);
    expect([lines, stderr]).toEqual([['wrong 0', 'wrong 0'], '']);
    expect([batches(paths), single(paths.slice(seen))]).toEqual([0, 60]);
    expect(await made(rig)).toMatchObject({ 'map-dma': 40, 'unmap-dma': 20 });
  });

  test('a program whose service has gone ends with 69 and says so', WAIT, async () => {
    const { service, url } = await serve();
    const rig = await prepared(['vfio-pci'], { url });
    const { lines, stderr, code } = await during(rig, ['10', '10'], async () => {
      await rig.close();
      service.app.server.closeAllConnections();
      await service.close();
    });
    expect([lines, code]).toEqual([['wrong 0'], 69]);
    expect(stderr).toContain('vfio-host: no answer to ');
  });
});
