import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const text = (path: string) => readFileSync(root(path), 'utf8');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vfio-host-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** What the image runs for these arguments. */
function entered(...args: string[]): string {
  const program = join(folder, 'vfio-host');
  writeFileSync(program, '#!/bin/sh\nfor one in vfio-host "$@"; do echo "$one"; done\n');
  chmodSync(program, 0o755);
  const env = { PATH: `${folder}:${process.env.PATH}` };
  return execFileSync('sh', [root('docker/entrypoint.sh'), ...args], { env, encoding: 'utf8' }).trim();
}

test.each([
  [[], ['vfio-host']],
  [
    ['--kernel', '7.2'],
    ['vfio-host', '--kernel', '7.2'],
  ],
  [['-h'], ['vfio-host', '-h']],
  [
    ['replay', 'a file.json'],
    ['vfio-host', 'replay', 'a file.json'],
  ],
  [
    ['vfio-host', '--help'],
    ['vfio-host', '--help'],
  ],
  [['demo'], ['vfio-host', 'demo']],
  [
    ['no-such-program', 'x'],
    ['vfio-host', 'no-such-program', 'x'],
  ],
])('the image with %j runs %j', (args, ran) => {
  expect(entered(...args).split('\n')).toEqual(ran);
});

test('the image runs other programs as they are', () => {
  expect(entered('echo', 'hello there')).toBe('hello there');
  expect(entered('sh', '-c', 'echo $0', 'mine')).toBe('mine');
});

/** A variable as the program of the image gets it, in a container of so many bytes of memory. */
function variable(name: string, memory: string, env: Record<string, string> = {}): string {
  const tell = (file: string, script: string) =>
    writeFileSync(join(folder, file), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  tell('vfio-host', `echo "$${name}"`);
  tell('cat', `echo ${memory}`);
  const path = `${folder}:${process.env.PATH}`;
  const options = { env: { ...env, PATH: path }, encoding: 'utf8' as const };
  return execFileSync('sh', [root('docker/entrypoint.sh')], options).trim();
}

test('a container of 256 MB has lower limits, one of more or without a bound the usual ones', () => {
  expect(variable('BODY_LIMIT', '268435456')).toBe('8388608');
  expect(variable('NODE_OPTIONS', '268435456')).toContain('--max-old-space-size=128');
  expect(variable('BODY_LIMIT', '268435456', { BODY_LIMIT: '1000' })).toBe('1000');
  expect(variable('BODY_LIMIT', '2147483648')).toBe('');
  expect(variable('BODY_LIMIT', 'max')).toBe('');
});

test('the image has the entrypoint, and the program on its path', () => {
  const dockerfile = text('Dockerfile');
  expect(dockerfile).toMatch(/^ENTRYPOINT \["vfio-host-entrypoint"\]\nCMD \["vfio-host"\]$/m);
  expect(dockerfile).toContain('COPY docker/entrypoint.sh /usr/local/bin/vfio-host-entrypoint');
  expect(dockerfile).toContain('ln -s /app/dist/src/main.js /usr/local/bin/vfio-host');
  expect(text('.dockerignore').split('\n')).toContain('!docker');
  expect(statSync(root('docker/entrypoint.sh')).mode & 0o111).toBe(0o111);
});

test('what a build makes can be executed, as npx does', () => {
  const { scripts, bin } = JSON.parse(text('package.json'));
  const main = join(folder, bin['vfio-host']);
  mkdirSync(join(main, '..'), { recursive: true });
  writeFileSync(main, text('src/main.ts').split('\n', 1)[0]!, { mode: 0o644 });
  symlinkSync(root('node_modules'), join(folder, 'node_modules'));
  execFileSync('sh', ['-c', scripts.postbuild], { cwd: folder });
  expect(statSync(main).mode & 0o777).toBe(0o755);
  expect(readFileSync(main, 'utf8')).toBe('#!/usr/bin/env node');
});
