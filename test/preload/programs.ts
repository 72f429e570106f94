import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Prepared, prepare, type RunOptions } from '../../src/run/run.ts';
import { parseDevices } from '../../src/run/spec.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url));

/** Whether these tests can be run: the library and its test programs are compiled. */
export const HAS_COMPILER = spawnSync('cc', ['--version']).status === 0;

/** Compiles a test program of this folder; returns its path. */
export function compile(name: string): string {
  mkdirSync(CACHE, { recursive: true });
  const path = join(mkdtempSync(join(CACHE, 'preload-')), name);
  execFileSync('cc', ['-O1', '-Wall', '-pthread', '-o', path, join(HERE, `${name}.c`)]);
  return path;
}

/** A run without a program. */
export function prepared(devices: readonly string[], options: Partial<RunOptions> = {}): Promise<Prepared> {
  return prepare({
    kernel: '6.1',
    noIommu: false,
    memlock: undefined,
    trace: undefined,
    url: undefined,
    wedged: 'abort',
    program: [],
    ...options,
    devices: parseDevices(devices, options.noIommu ?? false),
  });
}

/** How a program ended, and what it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in a run. */
export function runIn({ env }: Pick<Prepared, 'env'>, program: string, ...args: string[]): Promise<Ended> {
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}

/** What is open in the service: nothing is, where nothing was left. */
export async function stillOpen({ target }: Prepared): Promise<string[]> {
  const open: string[] = [];
  for await (const { container } of target.client.containers()) open.push(container);
  for await (const { device, openCount, groupOpen } of target.client.devices()) {
    if (openCount > 0 || groupOpen) open.push(device);
  }
  return open;
}
