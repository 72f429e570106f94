import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeWhole } from '../../src/whole-file.ts';

/** How often a writer is killed. */
const KILLS = 8;
/** Of what it writes, bytes: so much that it is killed in the middle. */
const SIZE = 4_000_000;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'whole-file-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a writer that SIGKILL ends on the way leaves the old file or the new one, whole', async () => {
  const options = [
    '--module',
    'nodenext',
    '--target',
    'es2023',
    '--types',
    'node',
    '--noCheck',
    '--rewriteRelativeImportExtensions',
  ];
  execFileSync('node_modules/.bin/tsc', [
    'src/whole-file.ts',
    '--outDir',
    folder,
    ...options,
    '--ignoreConfig',
  ]);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const path = join(folder, 'state');
  writeFileSync(path, '0'.repeat(SIZE));
  const program = `
    const { writeWhole } = await import(${JSON.stringify(pathToFileURL(join(folder, 'whole-file.js')).href)});
    for (let i = 0; ; i++) writeWhole(${JSON.stringify(path)}, String(i % 10).repeat(${SIZE}));
  `;
  for (let kill = 0; kill < KILLS; kill++) {
    const watcher = watch(folder);
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' });
    // It writes now; after how many events it ends differs from kill to kill.
    const ended = once(child, 'close');
    for (let event = 0; event <= kill; event++) await Promise.race([once(watcher, 'change'), ended]);
    child.kill('SIGKILL');
    expect(await ended, 'the writer ends by being killed alone').toEqual([null, 'SIGKILL']);
    watcher.close();
    const text = readFileSync(path, 'latin1');
    expect(text.length).toBe(SIZE);
    expect(text).toBe(text[0]!.repeat(SIZE));
  }
});

test('a file that cannot be put in place is as it was, and nothing else is left', () => {
  const inside = mkdtempSync(join(folder, 'inside-'));
  expect(() => writeWhole(join(inside, 'missing', 'file'), 'x')).toThrow('ENOENT');
  writeWhole(join(inside, 'file'), 'old');
  writeWhole(join(inside, 'file'), 'new');
  expect(readdirSync(inside)).toEqual(['file']);
  expect(readFileSync(join(inside, 'file'), 'utf8')).toBe('new');
});
