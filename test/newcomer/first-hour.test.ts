import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

/**
 * The first hour of somebody who has just cloned this: what README.md says is pasted as it stands there, in order. Only
 * the port is another one, and `npm ci` has been done.
 */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What no user has from a clone, or makes themselves. */
const NOT_CLONED = /^(\.git|node_modules|dist|coverage|conformance)(\/|$)/;

/** Longest time one command may take, and all of one test, milliseconds: builds and searches are among them. */
const COMMAND_MS = 170_000;
const SLOW_MS = 600_000;

/** Commands that need what is not here, each with what that is. */
const ELSEWHERE: readonly (readonly [RegExp, string])[] = [
  [/^docker |"\$\(docker /, 'docker'],
  [/qemu-system/, 'QEMU, which examples/qemu runs'],
  [/my-vmm/, "the reader's own program"],
  [/^npm ci && npm test/, 'this very suite'],
  [/^npm ci && npm start/, 'run before everything else'],
];

let folder: string;
let clone: string;
let service: ChildProcess | null = null;
let port = 0;

vi.setConfig({ testTimeout: SLOW_MS });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'vfio-host-newcomer-'));
  clone = join(folder, 'vfio-host');
  cpSync(ROOT, clone, { recursive: true, filter: (path) => !NOT_CLONED.test(relative(ROOT, path)) });
  symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
});
afterAll(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

const env = () => ({
  PATH: process.env.PATH,
  HOME: folder,
  npm_config_update_notifier: 'false',
  npm_config_offline: 'true',
  PORT: '0',
  PORT_FILE: join(folder, 'port'),
});

/** Starts the service as README.md says, and waits until it is ready. */
async function start(): Promise<void> {
  service = spawn('sh', ['-c', 'npm start'], {
    cwd: clone,
    env: env(),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(service, 'exit').then(([code]) =>
    Promise.reject(new Error(`npm start ended with ${code}: ${said}`)),
  );
  ended.catch(() => {});
  let said = '';
  const ready = new Promise<void>((resolve) => {
    const take = (text: Buffer) => {
      said += text;
      if (/"msg":"port \d+"/.test(said)) resolve();
    };
    service!.stdout!.on('data', take);
    service!.stderr!.on('data', take);
  });
  await Promise.race([ready, ended]);
  port = Number(readFileSync(join(folder, 'port'), 'utf8'));
  expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(200);
}

/** Stops it as Ctrl-C does: all that the shell has started is told. */
async function stop(): Promise<void> {
  if (!service || service.exitCode !== null) return;
  const ended = once(service, 'exit');
  process.kill(-service.pid!, 'SIGINT');
  await ended;
  service = null;
}

/** What one command printed, and its exit code. Nothing is typed at it. */
function paste(command: string): { code: number; text: string } {
  const text = command.replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`);
  try {
    const stdout = execFileSync('bash', ['-c', text], {
      cwd: clone,
      env: env(),
      encoding: 'utf8',
      timeout: COMMAND_MS,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return { code: 0, text: stdout };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
    return { code: status, text: `${stdout}${stderr}` };
  }
}

const readme = () => readFileSync(join(clone, 'README.md'), 'utf8');

/** The blocks of shell of README.md. */
function blocks(): string[] {
  return [...readme().matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
}

/** The commands of a block: lines, with those that go on after a backslash. */
function commands(block: string): string[] {
  return block
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

test('npm start builds the service and serves', async () => {
  expect(commands(blocks()[0]!)[0]).toBe('npm ci && npm start');
  await start();
  expect(existsSync(join(clone, 'dist/src/main.js'))).toBe(true);
});

test('the thread of README.md, pasted as it stands, ends in the BUG_ON that it tells of', () => {
  const thread = blocks().find((block) => block.includes('/v1/containers/c0/unmap-dma'))!;
  const { code, text } = paste(thread);
  expect(code).toBe(0);
  const answers = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const last = answers.at(-1);
  expect(last).toMatchObject({
    status: 409,
    killed: true,
    splat: { kind: 'BUG_ON', condition: '++retries > 10' },
  });
  expect(answers.slice(0, -1).every(({ status }) => status === undefined)).toBe(true);
});

test('the setup of README.md makes what it says', async () => {
  const [, text] = /`POST \/v1\/setup`.*?`(\{.*?\})`/s.exec(readme())!;
  const answer = await fetch(`http://127.0.0.1:${port}/v1/setup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: text!,
  });
  expect(await answer.json()).toMatchObject({
    containers: ['c0'],
    devices: [{ device: 'd0', container: 'c0' }],
  });
  expect(paste('npx vfio-host verdict --url http://127.0.0.1:8080').code).toBe(1);
  expect(paste('npx vfio-host verdict --url http://127.0.0.1:8080 --expect pins,mappings').code).toBe(0);
});

test('every other command of README.md does what it is for', () => {
  const all = blocks().slice(1).flatMap(commands);
  const here = all.filter(
    (command) => /^npx vfio-host /.test(command) && !ELSEWHERE.some(([what]) => what.test(command)),
  );
  expect(here.length).toBeGreaterThan(0);
  for (const command of here) {
    const { code, text } = paste(command);
    // 1: what was looked for was found, or something differs, as the command is there to show.
    expect([0, 1], `${command}\n${text}`).toContain(code);
    expect(text, command).not.toMatch(/Permission denied|not found|Unknown option|is no command/);
  }
});

test('what needs something else is known for what it needs', () => {
  const unknown = blocks()
    .flatMap(commands)
    .filter((command) => !ELSEWHERE.some(([what]) => what.test(command)))
    .filter((command) => !/^(npx vfio-host |curl |H=)/.test(command));
  expect(unknown).toEqual([]);
});

test('after a stop and another start all of it works again', async () => {
  await stop();
  await start();
  const main = join(clone, 'dist/src/main.js');
  expect(statSync(main).mode & 0o111).toBe(0o111);
  expect(paste('npx vfio-host compare examples/traces/pin-needs-dma-unmap.json').text).toContain(
    'steps differ',
  );
  expect(paste('curl -sf http://127.0.0.1:8080/v1/verdict').code).toBe(0);
});
