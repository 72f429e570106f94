import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { VfioHostClient } from './client.ts';
import type { ClientOptions } from './transport.ts';

/** How long a service may take to listen, milliseconds. */
const START_MS = 30_000;
/** How long it is waited for its end before it is killed, milliseconds. */
const STOP_MS = 5_000;
/** How often its port file is looked for, milliseconds. */
const LOOK_MS = 20;

/** How a service is started. */
export interface StartOptions {
  /**
   * The program and its first arguments; by default the `vfio-host` package that is installed beside the tests. A signal
   * ends it, which npx hands on to nobody: name the program itself.
   */
  readonly command?: readonly string[] | undefined;
  /** More arguments, such as `--kernel 7.2`. */
  readonly args?: readonly string[] | undefined;
  /** How long it may take to listen, milliseconds; 30,000 unless given. */
  readonly timeoutMs?: number | undefined;
}

/** A service of one's own. */
export interface RunningHost {
  readonly url: string;
  /** A client of a rig; without a name of the default one. It is closed with the service. */
  rig(name?: string, options?: Omit<ClientOptions, 'url' | 'rig'>): VfioHostClient;
  /** Ends the service, and the clients. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a service on a free port of this machine; it ends with `stop()`, or with this process. */
export async function startVfioHost(options: StartOptions = {}): Promise<RunningHost> {
  const [program, ...first] = options.command ?? [process.execPath, installed()];
  const folder = mkdtempSync(join(tmpdir(), 'vfio-host-'));
  const portFile = join(folder, 'port');
  const given = [...first, '--host', '127.0.0.1', '--port', '0', '--port-file', portFile];
  const child = spawn(program!, [...given, ...(options.args ?? [])], { stdio: ['ignore', 'ignore', 'pipe'] });
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  const end = async () => {
    await stopped(child);
    process.off('exit', kill);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const port = await portOf(child, portFile, options.timeoutMs ?? START_MS);
    return running(`http://127.0.0.1:${port}`, end);
  } catch (error) {
    await end();
    throw error;
  }
}

function running(url: string, end: () => Promise<void>): RunningHost {
  const clients: VfioHostClient[] = [];
  const stop = async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await end();
  };
  return {
    url,
    rig(name, options = {}) {
      const client = new VfioHostClient({ ...options, url, rig: name });
      clients.push(client);
      return client;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The program of the package `vfio-host`, as the tests would find it. */
function installed(): string {
  const from = createRequire(join(process.cwd(), 'package.json'));
  try {
    return join(dirname(from.resolve('vfio-host/package.json')), 'dist', 'src', 'main.js');
  } catch {
    throw new Error(
      'the package vfio-host is not installed here: npm install -D vfio-host, or give a `command`',
    );
  }
}

/** The port it listens on, once it has said so. Rejects with what it wrote where it ends before. */
async function portOf(child: ChildProcess, file: string, timeoutMs: number): Promise<number> {
  let written = '';
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    written = (written + text).slice(-2000);
  });
  let failed: Error | null = null;
  child.once('error', (error) => {
    failed = error;
  });
  for (const end = performance.now() + timeoutMs; performance.now() < end; await after(LOOK_MS)) {
    if (failed) throw failed;
    if (child.exitCode !== null) {
      throw new Error(`vfio-host ended with ${child.exitCode} before it listened: ${written.trim()}`);
    }
    const text = textOf(file);
    if (/^\d+\s*$/.test(text)) return Number(text);
  }
  throw new Error(`vfio-host does not listen after ${timeoutMs} ms`);
}

/** The text of a file that may not be there yet. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(late);
}
