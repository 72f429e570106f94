import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Clone } from './clone.ts';
import { blocks, commands, documents, indented } from './documents.ts';
import { buildImage } from './image.ts';

/**
 * The first hour of somebody who clones this: what the documents say is pasted as it stands there, in order. Only the port
 * is another one.
 */

/** Longest a test may take, milliseconds. */
const SLOW_MS = 600_000;

/** Commands that need what is not here, each with what that is. */
const ELSEWHERE: readonly (readonly [RegExp, string])[] = [
  [/^docker |"\$\(docker |^VFIO_HOST_URL=http:\/\/vfio-host:8080 /, 'docker'],
  [/^cd examples\/testcontainers && npm install/, 'docker'],
  [/^kubectl /, 'a cluster'],
  [/qemu-system|examples\/qemu/, 'QEMU, which test/examples/qemu.test.ts runs'],
  [/examples\/nginx/, 'nginx'],
  [/^sh examples\/stories\/\S+\.sh$/, 'port 8080; with a URL behind it, it is run'],
  [/^(node|python3) examples\/drivers\/driver/, 'the next window; test/examples/drivers.test.ts runs it'],
  [/^npm ci && npm test/, 'this very suite'],
  [/^npm ci && npm start/, 'run before everything else'],
];
const elsewhere = (command: string) => ELSEWHERE.some(([what]) => what.test(command));

/** What a shell or npx says of a command that is not there, or an option that is not. */
const UNKNOWN = /Permission denied|not found|Unknown option|is no command|No such file|Cannot find/;

/** The last words of the demo before it waits for Ctrl-C. */
const DEMO_ENDS = /Ctrl-C/;

let clone: Clone;
/** Whether packages can be installed that this repository has not installed already. */
let installs = false;
let texts: Map<string, string>;
let readme: string;

vi.setConfig({ testTimeout: SLOW_MS });
beforeAll(() => {
  clone = new Clone();
  texts = documents(clone.folder);
  readme = texts.get('README.md')!;
}, SLOW_MS);
afterAll(() => clone?.remove());

const version = (): string => JSON.parse(readFileSync(join(clone.folder, 'package.json'), 'utf8')).version;

test('npm ci && npm start of a clone installs, builds and serves', async () => {
  expect(commands(blocks(readme)[0]!)[0]).toBe('npm ci && npm start');
  expect(existsSync(join(clone.folder, 'node_modules'))).toBe(false);
  installs = clone.install();
  await clone.start();
  expect((await fetch(`${clone.url}/ready`)).status).toBe(200);
});

test('the thread of README.md, pasted as it stands, ends in the BUG_ON that it tells of', () => {
  const thread = blocks(readme).find((block) => block.includes('/v1/containers/c0/unmap-dma'))!;
  const { code, text } = clone.paste(thread);
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
  const [, text] = /`POST \/v1\/setup`.*?`(\{.*?\})`/s.exec(readme)!;
  const answer = await fetch(`${clone.url}/v1/setup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: text!,
  });
  expect(await answer.json()).toMatchObject({
    containers: ['c0'],
    devices: [{ device: 'd0', container: 'c0' }],
  });
  expect(clone.paste('npx vfio-host verdict --url http://127.0.0.1:8080').code).toBe(1);
  expect(clone.paste('npx vfio-host verdict --url http://127.0.0.1:8080 --expect pins,mappings').code).toBe(
    0,
  );
});

test('every other command of README.md does what it is for', () => {
  // The reader's own program: one that finds /dev/vfio/vfio where the machine has none.
  writeFileSync(join(clone.folder, 'my-vmm'), '#!/bin/sh\ntest -c /dev/vfio/vfio\n', { mode: 0o755 });
  const all = blocks(readme).slice(2).flatMap(commands);
  const here = all.filter((command) => !elsewhere(command));
  expect(here.filter((command) => !/^npx vfio-host /.test(command))).toEqual([]);
  expect(here.length).toBeGreaterThan(4);
  for (const command of here) {
    const { code, text } = clone.paste(command);
    // 1: what was looked for was found, or something differs, as the command is there to show.
    expect([0, 1], `${command}\n${text}`).toContain(code);
    expect(text, command).not.toMatch(UNKNOWN);
  }
});

test('every block of shell of docs/ and every command of the other documents runs', () => {
  const pages = [...texts].filter(([file]) => file !== 'README.md');
  const shell = pages
    .filter(([file]) => file.startsWith('docs/'))
    .flatMap(([file, text]) => blocks(text).map((block) => [file, block] as const));
  const single = pages.flatMap(([file, text]) =>
    indented(text)
      .filter((command) => !elsewhere(command))
      .map((command) => [file, command] as const),
  );
  expect(shell.length).toBeGreaterThan(4);
  expect(single.length).toBeGreaterThan(4);
  for (const [file, command] of [...shell, ...single]) {
    const { code, text } = clone.paste(command);
    expect(code, `${file}: ${command}\n${text}`).toBe(0);
    expect(text, `${file}: ${command}`).not.toMatch(UNKNOWN);
  }
});

test('after a stop and another start all of it works again', async () => {
  await clone.stop();
  await clone.start();
  expect(statSync(join(clone.folder, 'dist/src/main.js')).mode & 0o111).toBe(0o111);
  const compare = clone.paste('npx vfio-host compare examples/traces/pin-needs-dma-unmap.json');
  expect(compare.text).toContain('steps differ');
  expect(clone.paste('curl -sf http://127.0.0.1:8080/v1/verdict').code).toBe(0);
  await clone.stop();
});

test('what is published has what is promised, and runs in an empty folder', async () => {
  clone.paste('npm pack --ignore-scripts && npm pack --workspace vfio-host-client');
  const packed = (name: string) => clone.paste(`tar tzf ${name}-${version()}.tgz`).text.trim().split('\n');
  const service = packed('vfio-host');
  const promised = clone.paste('git ls-files docs examples preload ui openapi.json').text.trim().split('\n');
  for (const file of ['dist/src/main.js', 'dist/src/client/index.d.ts', ...promised]) {
    if (file !== 'ui/tsconfig.json' && existsSync(join(clone.folder, file)))
      expect(service).toContain(`package/${file}`);
  }
  const client = packed('vfio-host-client');
  expect(client).toEqual(
    expect.arrayContaining(['package/dist/index.js', 'package/dist/index.cjs', 'package/testcontainers.js']),
  );
  expect(
    [...service, ...client].filter((path) => /\.map$|^package\/(dist\/)?(test|bench)\//.test(path)),
  ).toEqual([]);

  if (!installs) return console.warn('the packages were NOT installed: no registry is reached');
  const project = join(clone.folder, '../project');
  mkdirSync(project);
  const at = (command: string) => clone.paste(command, project);
  const install = `npm install ../vfio-host/vfio-host-client-${version()}.tgz`;
  expect(at(`npm init -y && ${install}`)).toMatchObject({ code: 0 });
  expect(readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.'))).toEqual([
    '@sinclair',
    'undici',
    'vfio-host-client',
  ]);
  const megabytes = Number.parseInt(at('du -sm node_modules').text, 10);
  expect(megabytes, 'README.md says 10 MB').toBeLessThanOrEqual(12);

  expect(at(`npm install ../vfio-host/vfio-host-${version()}.tgz`)).toMatchObject({ code: 0 });
  expect(at('npx vfio-host --version')).toEqual({ code: 0, text: `${version()}\n` });
  expect(at('npx vfio-host run --device vfio-pci -- test -c /dev/vfio/vfio')).toMatchObject({ code: 0 });
  expect(await clone.pasteUntil('node_modules/.bin/vfio-host demo', DEMO_ENDS, project)).toBe(0);
  const program =
    "import('vfio-host-client').then(({startVfioHost}) => startVfioHost()).then((host) => host.stop())";
  expect(at(`node -e "${program}"`)).toEqual({ code: 0, text: '' });
});

test('what the Dockerfile makes of the clone runs, with all that it needs and nothing else', async () => {
  const root = buildImage(clone, join(clone.folder, '../image'));
  const path = `PATH=${root}/usr/local/bin:$PATH; exec`;
  const inside = (command: string) => clone.paste(`${path} ${command}`, join(root, 'app'));
  for (const command of [
    'vfio-host-entrypoint --version',
    'vfio-host-entrypoint vfio-host --version',
    'vfio-host-entrypoint npx vfio-host --version',
  ]) {
    expect(inside(command), command).toEqual({ code: 0, text: `${version()}\n` });
  }
  expect(await clone.pasteUntil(`${path} vfio-host-entrypoint demo`, DEMO_ENDS, join(root, 'app'))).toBe(0);
  expect(inside('vfio-host-entrypoint run -- test -c /dev/vfio/vfio')).toMatchObject({ code: 0 });
  expect(readdirSync(join(root, 'app/node_modules'))).not.toContain('vitest');
});
