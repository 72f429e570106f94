import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Row, row } from '../support/row.ts';

const ROUNDS = 11;
const SECONDS = 0.5;
const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

/** A C program that maps and unmaps through the library, against GET /health on the same Unix socket. */
export async function run(): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  try {
    const program = join(folder, 'map-loop');
    execFileSync('cc', ['-O2', '-o', program, 'bench/map-loop.c'], { stdio: 'inherit' });
    const device = 'mdev:synthetic,onDmaUnmap=unpin-range';
    const text = await output(['run', '--device', device, '--', program, String(ROUNDS), String(SECONDS)]);
    const rounds = text
      .trim()
      .split('\n')
      .map((each) => each.split(' ').map(Number) as [number, number]);
    const calls = rounds.map(([each]) => each);
    const health = rounds.map(([, each]) => each);
    return [
      row('vfio-host run: map and unmap from C, of GET /health', 'calls/s', calls, health, { atLeast: 0.7 }),
    ];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function output(args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk;
  if (text === '') throw new Error(said);
  return text;
}
