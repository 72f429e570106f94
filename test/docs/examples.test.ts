import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KERNEL_VERSIONS, RECORDED_VERSIONS } from '../../src/kernel/generations/index.ts';
import { useOneRig } from '../harness/http-rig.ts';
import { compile, type Program } from '../harness/program.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Where a reader’s own service would be. */
const READERS_URL = 'http://127.0.0.1:8080';
const RUNS = { js: [process.execPath, 'mjs'], python: ['python3', 'py'], sh: ['sh', 'sh'] } as const;

/** A program in a document, and what the document says it prints. */
interface Example {
  readonly language: keyof typeof RUNS;
  readonly code: string;
  readonly prints: string | null;
}

/** The programs of a document; a block of text behind one is what it prints. */
function examplesIn(page: string): Example[] {
  const text = readFileSync(join(ROOT, 'docs', page), 'utf8');
  const blocks = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, code], at, all) => ({
    language: language!,
    code: code!,
    next: all[at + 1],
  }));
  return blocks.flatMap(({ language, code, next }) => {
    if (!(language in RUNS)) return [];
    return [
      { language: language as Example['language'], code, prints: next?.[1] === 'text' ? next[2]! : null },
    ];
  });
}

/** Those that are read, and have programs; kernels.md and the like are generated. */
const PAGES = readdirSync(join(ROOT, 'docs')).filter(
  (file) => file.endsWith('.md') && file !== 'ARCHITECTURE.md' && examplesIn(file).length > 0,
);

const service = useOneRig();
let program: Program;
let folder: string;
let url: string;
beforeAll(async () => {
  await service.listen();
  url = service.url;
  // The package as the examples import it: its own name leads to what was compiled.
  program = compile();
  folder = dirname(dirname(program.main));
  symlinkSync('.', join(folder, 'dist'));
  symlinkSync(join(ROOT, 'examples'), join(folder, 'examples'));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(folder, join(folder, 'node_modules', 'vfio-host'));
}, 120_000);
afterAll(() => program.remove());

describe.each(PAGES)('docs/%s', (page) => {
  test.each(examplesIn(page).map((example, at) => [at + 1, example] as const))(
    'program %i runs as it says',
    async (at, { language, code, prints }) => {
      const [run, suffix] = RUNS[language];
      const file = join(folder, `${page}-${at}.${suffix}`);
      writeFileSync(file, code.replaceAll(READERS_URL, url));
      const { NO_COLOR, ...env } = process.env;
      const { stdout } = await promisify(execFile)(run, [file], {
        cwd: folder,
        env: { ...env, NO_PROXY: '127.0.0.1', no_proxy: '127.0.0.1' },
      });
      if (prints !== null) expect(stdout).toBe(prints);
    },
  );
});

/** Runs a program of examples/rigs. */
async function rig(command: string, args: readonly string[], env: Record<string, string>): Promise<string> {
  const given = { PATH: process.env.PATH, NO_PROXY: '127.0.0.1', PYTHONDONTWRITEBYTECODE: '1', ...env };
  const { stdout, stderr } = await promisify(execFile)(command, args, {
    cwd: join(ROOT, 'examples/rigs'),
    env: given,
  });
  return stdout + stderr;
}

describe('examples/rigs: two drivers on every kernel, side by side', () => {
  const count = KERNEL_VERSIONS.length * 2;

  test('vitest, with a service of its own and matchers', async () => {
    const client = join(ROOT, 'src/client/index.ts');
    const config = {
      resolve: { alias: { 'vfio-host/client': client } },
      test: { include: ['*.test.mjs'], testTimeout: 180_000 },
    };
    const file = join(folder, 'vitest.config.mjs');
    writeFileSync(file, `export default ${JSON.stringify(config)};`);
    const vitest = join(ROOT, 'node_modules/vitest/vitest.mjs');
    const options = ['run', '--root', '.', '--config', file, '--reporter', 'json'];
    const command = `${process.execPath} ${program.main}`;
    const printed = await rig(process.execPath, [vitest, ...options], { VFIO_HOST_COMMAND: command });
    expect(printed).toContain(`"numPassedTests":${RECORDED_VERSIONS.length * 2},`);
  });

  test('Python', async () => {
    expect(await rig('python3', ['test_kernels.py'], { VFIO_HOST_URL: url })).toMatch(/Ran 2 tests[\s\S]*OK/);
  });

  test('shell', async () => {
    const lines = (await rig('sh', ['kernels.sh'], { VFIO_HOST_URL: url })).trim().split('\n');
    expect(lines).toHaveLength(count);
    expect(lines.filter((line) => line.startsWith('ok '))).toHaveLength(count);
  });
});

test('the documents have programs in each language', () => {
  const languages = PAGES.flatMap(examplesIn).map(({ language }) => language);
  expect(new Set(languages)).toEqual(new Set(Object.keys(RUNS)));
  expect(languages.length).toBeGreaterThanOrEqual(9);
});
