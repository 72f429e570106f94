import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { COMPILE_MS, compile, type End, type Program, type Running, start } from '../harness/program.ts';

const EXIT_USAGE = 64;
const EXIT_PANIC = 70;
const INFO = 30;
const WARN = 40;
const FATAL = 60;

let program: Program;
beforeAll(() => {
  program = compile();
}, COMPILE_MS);
afterAll(() => program.remove());

let running: Running | null = null;
afterEach(async () => {
  running?.kill('SIGKILL');
  await running?.end;
  running = null;
});

/** Runs the program to its end. */
function run(args: readonly string[], env: Record<string, string> = {}): Promise<End> {
  running = start(program, args, env);
  return running.end;
}

/** Starts the service on a free port; where it listens. */
async function serve(args: readonly string[] = [], env: Record<string, string> = {}): Promise<string> {
  running = start(program, args, { PORT: '0', ...env });
  return running.ready;
}

/** A JSON exchange. */
async function exchange(
  url: string,
  body?: object,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(url, {
    ...(body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
}

/** A container with an open mdev that pins a page of a mapping. */
async function pinnedPage(url: string, driver: object): Promise<void> {
  const post = async (path: string, body: object) => {
    const { status } = await exchange(`${url}/v1/${path}`, body);
    expect(status).toBeLessThan(300);
  };
  await post('containers', { container: 'c0' });
  await post('devices', { device: 'd0', driver: { type: 'synthetic', ...driver } });
  await post('containers/c0/attach', { device: 'd0' });
  await post('containers/c0/map-dma', { iova: 0, vaddr: 0, size: 4096, flags: ['read', 'write'] });
  await post('devices/d0/pin-pages', { iova: 0, npage: 1, prot: ['read'] });
}

const unmap = (url: string) => exchange(`${url}/v1/containers/c0/unmap-dma`, { iova: 0, size: 4096 });

/** Waits until a call is under way. */
async function callUnderWay(url: string): Promise<void> {
  for (;;) {
    const { body } = await exchange(`${url}/v1`);
    if ((body.counts as { pendingCalls: number }).pendingCalls === 1) return;
  }
}

/** Stops the service; how it ended. One that is not done after 900 ms ends itself, with exit code 1. */
function stop(signal: NodeJS.Signals): Promise<End> {
  running!.kill(signal);
  return running!.end;
}

describe('a configuration that is wrong ends the start with its reason', () => {
  const settings: [string, string[], Record<string, string>, string[]][] = [
    ['PORT that is no number', [], { PORT: 'http' }, ['PORT', '"http"', '0 to 65535']],
    ['PORT that is too large', [], { PORT: '65536' }, ['PORT', '"65536"', '0 to 65535']],
    ['PORT in hex', [], { PORT: '0x50' }, ['PORT', '"0x50"', '0 to 65535']],
    ['PORT that is empty', [], { PORT: '' }, ['PORT', '""', '0 to 65535']],
    ['HOST that is empty', [], { HOST: '' }, ['HOST', '""']],
    ['LOG_LEVEL nobody knows', [], { LOG_LEVEL: 'loud' }, ['LOG_LEVEL', '"loud"', 'debug']],
    [
      'PANIC_ON_WARN that is yes',
      [],
      { PANIC_ON_WARN: 'yes' },
      ['PANIC_ON_WARN', '"yes"', '"true" or "false"'],
    ],
    ['PANIC_ON_OOPS in capitals', [], { PANIC_ON_OOPS: 'TRUE' }, ['PANIC_ON_OOPS', '"TRUE"']],
    ['MAX_DEVICES of 0', [], { MAX_DEVICES: '0' }, ['MAX_DEVICES', '"0"', '1 to ']],
    ['BODY_LIMIT that is too small', [], { BODY_LIMIT: '1' }, ['BODY_LIMIT', '"1"', '1024']],
    ['--port that is no number', ['--port', 'http'], {}, ['--port', '"http"', '0 to 65535']],
    ['--port below 0', ['--port=-1'], {}, ['--port', '"-1"', '0 to 65535']],
    ['--port without value', ['--port'], {}, ['--port']],
    ['a flag that is wrong over a variable that is right', ['--port', 'x'], { PORT: '0' }, ['--port', '"x"']],
    ['a flag nobody knows', ['--prot', '8080'], {}, ['--prot']],
    ['a flag of one letter', ['-p', '8080'], {}, ['-p']],
    ['a word nobody knows', ['start'], {}, ['start']],
  ];
  test.each(settings)('%s', async (_name, args, env, named) => {
    const { code, stdout, stderr } = await run(args, env);
    expect(code).toBe(EXIT_USAGE);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^vfio-host: .+\n$/);
    for (const part of named) expect(stderr).toContain(part);
  });

  test('a port that is taken ends it with exit code 1, naming the address', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    try {
      const { code, stderr } = await run([], { PORT: String(port) });
      expect(code).toBe(1);
      expect(stderr).toMatch(/^vfio-host: .*EADDRINUSE/);
      expect(stderr).toContain(`127.0.0.1:${port}`);
    } finally {
      other.close();
    }
  });
});

describe('information', () => {
  test('--version prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await run(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test('--help names each setting, its variable and its default', async () => {
    const { code, stdout, stderr } = await run(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    for (const [flag, variable, value] of [
      ['--host', 'HOST', '127.0.0.1'],
      ['--port', 'PORT', '8080'],
      ['--log-level', 'LOG_LEVEL', 'info'],
      ['--panic-on-warn', 'PANIC_ON_WARN', 'false'],
      ['--panic-on-oops', 'PANIC_ON_OOPS', 'false'],
      ['--max-containers', 'MAX_CONTAINERS', '1024'],
    ]) {
      const line = stdout.split('\n').find((text) => text.includes(`${flag} `));
      expect(line, flag).toMatch(new RegExp(`\\(${variable}; default ${value}[;)]`));
    }
  });
});

describe('a command whose reader has gone', () => {
  test('compare goes on to its exit code and says nothing about it', async () => {
    const trace = fileURLToPath(new URL('../../examples/traces/bisected-after-round.json', import.meta.url));
    const child = spawn(process.execPath, [program.main, 'compare', trace], { stdio: 'pipe' });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(stderr).toBe('');
  });
});

describe('the demo', () => {
  test.each(['5.10', '6.1', '6.12', '7.2'])(
    'plays the thread on %s, explains it, and stays with its page until it is stopped',
    async (kernel) => {
      running = start(program, ['demo', '--kernel', kernel]);
      const last = await running.printing(/All of it, live: (\S+)/);
      const page = await fetch(last[1]!);
      expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
      const { body } = await exchange(`${last[1]}v1/containers`);
      expect(body.containers).toMatchObject([
        { container: 'c0', wedged: { kind: 'BUG_ON' } },
        { container: 'c1', wedged: null, iommu: { mappings: 0, pins: 0 } },
      ]);
      const { code, stdout, stderr } = await stop('SIGINT');
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toContain(`Linux ${kernel}`);
      expect(stdout).toMatch(
        /6\. .*\n.*unmap-dma.*\n +409 .*\n +ccw was called back 11 times(.*\n)*.*After 11 calls the kernel gives up: BUG_ON/,
      );
      expect(stdout).toMatch(/13\. .*\n.*unmap-dma.*\n +200 ok, size 0x10000\n +fixed was called back once/);
      expect(stdout).toMatch(/kernel BUG at drivers\/vfio\/vfio_iommu_type1\.c:\d+!/);
      expect(stdout).not.toContain('\x1b[');
    },
  );
});

describe('a command line that makes no sense', () => {
  test('a service that does not answer is exit code 2', async () => {
    const trace = fileURLToPath(new URL('../../examples/traces/nesting.json', import.meta.url));
    const { code, stderr } = await run(['replay', trace, '--url', 'http://127.0.0.1:1']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^vfio-host: http:\/\/127\.0\.0\.1:1 does not answer: .*ECONNREFUSED/);
  });
});

describe('the start', () => {
  test('on port 0 writes a line with the port that was taken, which then answers', async () => {
    const url = await serve();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    expect(await exchange(`${url}/health`)).toEqual({ status: 200, body: { status: 'ok' } });
    const ready = running!.lines.find(({ msg }) => msg.startsWith('ready'));
    expect(ready!.level).toBe(INFO);
  });

  test('on port 0 a line of its own says the port, and so does --port-file until the stop', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'vfio-host-')), 'port');
    const { port } = new URL(await serve(['--port-file', file]));
    const line = await running!.saying(({ port: said }) => said !== undefined);
    expect(line).toMatchObject({ level: INFO, port: Number(port), msg: `port ${port}` });
    expect(readFileSync(file, 'utf8')).toBe(`${port}\n`);
    await stop('SIGTERM');
    expect(existsSync(file)).toBe(false);
  });

  test('with a --port-file that cannot be written ends with exit code 1, naming it', async () => {
    const { code, stderr } = await run(['--port-file', '/nonexistent/port'], { PORT: '0' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^vfio-host: --port-file: .*\/nonexistent\/port/);
  });

  test('on a terminal writes lines to read, in colours, on a pipe JSON', async () => {
    const line = `echo pid $$; exec '${process.execPath}' '${program.main}' --port 0`;
    const { CI: _ci, NO_COLOR: _noColor, FORCE_COLOR: _forced, ...env } = process.env;
    const child = spawn('script', ['-qefc', line, '/dev/null'], {
      env: { ...env, TERM: 'xterm-256color' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let screen = '';
    child.stdout.setEncoding('utf8');
    for await (const text of child.stdout) {
      screen += text;
      if (screen.includes('ready at') && screen.endsWith('\n')) break;
    }
    // Before its terminal goes: Node itself does not end well without the one it began with.
    process.kill(Number(/pid (\d+)/.exec(screen)![1]), 'SIGKILL');
    if (child.exitCode === null) await once(child, 'exit');
    expect(screen).toMatch(/\d\d:\d\d:\d\d.* .*INFO .* ready at http:/);
    expect(screen).toContain('\x1b[');
    expect(screen).not.toContain('{"level"');
    await serve();
    expect(running!.lines.length).toBeGreaterThan(0);
  });

  test('writes what it was configured with', async () => {
    await serve(['--max-devices', '7'], { MAX_CONTAINERS: '5' });
    const starting = running!.lines.find(({ msg }) => msg === 'starting');
    expect(starting).toMatchObject({
      level: INFO,
      version: expect.any(String),
      config: { host: '127.0.0.1', port: 0, maxDevices: 7, maxContainers: 5, panicOnOops: false },
    });
  });

  test('binds 127.0.0.1 and no other address unless told', async () => {
    const { port } = new URL(await serve());
    // All of 127.0.0.0/8 is this machine.
    const other = connect({ host: '127.0.0.2', port: Number(port) });
    const [error] = await once(other, 'error');
    expect(error).toMatchObject({ code: 'ECONNREFUSED' });
  });

  test('binds what HOST says', async () => {
    running = start(program, [], { PORT: '0', HOST: '127.0.0.2' });
    const url = await running.ready;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.2:/);
    expect((await exchange(`${url}/health`)).status).toBe(200);
  });

  test('takes a flag before a variable', async () => {
    const url = await serve(['--max-containers', '1'], { MAX_CONTAINERS: '9' });
    expect((await exchange(`${url}/v1`)).body.limits).toMatchObject({ containers: 1 });
  });

  test('at LOG_LEVEL debug writes requests, as one JSON object a line', async () => {
    const url = await serve([], { LOG_LEVEL: 'debug' });
    await exchange(`${url}/v1/containers`);
    await stop('SIGTERM');
    expect(running!.lines).toContainEqual(
      expect.objectContaining({ method: 'GET', url: '/v1/containers', status: 200 }),
    );
  });
});

describe('the stop', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s with nothing to do ends it with exit code 0 at once',
    async (signal) => {
      await exchange(`${await serve()}/health`);
      const { code, signal: killedBy } = await stop(signal);
      expect({ code, killedBy }).toEqual({ code: 0, killedBy: null });
    },
  );

  test('SIGTERM with a request under way answers it and ends with exit code 0 within a second', async () => {
    const url = await serve();
    await pinnedPage(url, { onDmaUnmap: 'unpin-range', holdCallbacks: true });
    const open = unmap(url);
    await callUnderWay(url);
    const { code, stderr } = await stop('SIGTERM');
    const { status, body } = await open;
    expect({ status, body }).toMatchObject({
      status: 503,
      body: { type: expect.stringMatching(/:abandoned$/), detail: expect.stringContaining('unmap-dma') },
    });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('SIGTERM with somebody waiting for an operation answers that the operation ended', async () => {
    const url = await serve();
    await pinnedPage(url, { onDmaUnmap: 'unpin-range', holdCallbacks: true });
    const response = await fetch(`${url}/v1/containers/c0/unmap-dma`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'respond-async' },
      body: '{"iova":0,"size":4096}',
    });
    const { operation } = (await response.json()) as { operation: string };
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) });
    const received = socket.setEncoding('utf8').toArray();
    // The second request on the connection shows that the first one has arrived.
    const mark = '{"container":"mark"}';
    socket.write(
      `GET /v1/operations/${operation}?wait=1&timeoutMs=60000 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n` +
        `POST /v1/containers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${mark.length}\r\n\r\n${mark}`,
    );
    while ((await exchange(`${url}/v1/containers/mark`)).status !== 200);
    const { code } = await stop('SIGTERM');
    const [, answer] = /\r\n\r\n(\{.*?\})\n?(?=HTTP|$)/s.exec((await received).join('')) ?? [];
    expect(JSON.parse(answer!)).toMatchObject({ done: true, answer: { status: 503 } });
    expect(code).toBe(0);
  });

  test.each([
    ['that never sent anything', ''],
    ['in the middle of its headers', 'GET /health HTTP/1.1\r\nHost: x\r\n'],
    [
      'in the middle of its body',
      'POST /v1/containers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{',
    ],
  ])('SIGTERM with a connection %s ends it with exit code 0 within a second', async (_name, sent) => {
    const url = await serve();
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) });
    socket.on('error', () => {});
    await once(socket, 'connect');
    if (sent !== '') await new Promise((resolve) => socket.write(sent, resolve));
    await exchange(`${url}/health`);
    const { code } = await stop('SIGTERM');
    socket.destroy();
    expect(code).toBe(0);
  });
});

describe('an emulated panic', () => {
  /** The fatal lines, which must be the last two. */
  const lastMessages = () => running!.lines.slice(-2).map(({ level, msg }) => ({ level, msg }));

  /** The service's end after a request that panics; its client gets no answer. */
  async function panicking(request: Promise<unknown>): Promise<End> {
    const [end, answer] = await Promise.all([running!.end, request.catch((error: Error) => error)]);
    expect(answer).toBeInstanceOf(Error);
    return end;
  }

  test.each([
    ['PANIC_ON_OOPS', [], { PANIC_ON_OOPS: 'true' }],
    ['--panic-on-oops', ['--panic-on-oops', 'true'], {}],
  ])('with %s a BUG_ON ends it with exit code 70 after its lines', async (_name, args, env) => {
    const url = await serve(args, env as Record<string, string>);
    await pinnedPage(url, { onDmaUnmap: 'ignore' });
    const { code, stderr } = await panicking(unmap(url));
    expect({ code, stderr }).toEqual({ code: EXIT_PANIC, stderr: '' });
    expect(lastMessages()).toEqual([
      { level: FATAL, msg: expect.stringMatching(/^kernel BUG at drivers\/vfio\/vfio_iommu_type1\.c:\d+!$/) },
      { level: FATAL, msg: 'Kernel panic - not syncing: Fatal exception' },
    ]);
  });

  test('with panicOnOops by set-parameters a BUG_ON ends it with exit code 70', async () => {
    const url = await serve([], { ALLOW_PANIC: 'true' });
    await pinnedPage(url, { onDmaUnmap: 'ignore' });
    await exchange(`${url}/v1/set-parameters`, { panicOnOops: true });
    expect((await panicking(unmap(url))).code).toBe(EXIT_PANIC);
  });

  test('with PANIC_ON_WARN a WARN_ON ends it with exit code 70 after its lines', async () => {
    const url = await serve([], { PANIC_ON_WARN: 'true' });
    await pinnedPage(url, { onDmaUnmap: 'ignore' });
    const warning = exchange(`${url}/v1/devices/d0/unpin-pages`, { iova: 4096, npage: 1 });
    expect((await panicking(warning)).code).toBe(EXIT_PANIC);
    expect(lastMessages()).toEqual([
      { level: WARN, msg: expect.stringMatching(/^WARNING: CPU: /) },
      { level: FATAL, msg: 'Kernel panic - not syncing: panic_on_warn set' },
    ]);
  });

  test('without a policy a BUG_ON leaves it running', async () => {
    const url = await serve();
    await pinnedPage(url, { onDmaUnmap: 'ignore' });
    expect((await unmap(url)).body).toMatchObject({ killed: true });
    expect((await exchange(`${url}/health`)).status).toBe(200);
  });
});

describe('a trace on stdin', () => {
  test.each([
    ['replay', 1],
    ['compare', 0],
    ['verdict', 0],
  ])('%s - reads it; exit code %i', (command, code) => {
    const trace = { steps: [{ call: 'open-container', expect: { errno: 'EPERM' } }] };
    const { status, stdout } = spawnSync(process.execPath, [program.main, command, '-', '--json'], {
      input: JSON.stringify(trace),
      encoding: 'utf8',
    });
    expect(status).toBe(code);
    expect(JSON.parse(stdout)).toBeTypeOf('object');
  });
});
