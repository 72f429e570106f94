import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { dispatch } from '../../src/cli/commands.ts';
import { UnreachableError } from '../../src/cli/exit.ts';
import type { VfioHostClient } from '../../src/client/index.ts';
import { startRig, useOneRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const TOKEN = 'a-token-of-sixteen-characters';

const rig = useOneRig();
let client: VfioHostClient;
let folder: string;
beforeAll(async () => {
  client = await rig.listen();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vfio-host-'));
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await client.reset();
});

/** What a command printed, and its exit code. */
async function done(...args: string[]): Promise<{ code: number | null; text: string }> {
  const lines: string[] = [];
  const terminal = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
  const out = (line: string) => void lines.push(line);
  const code = await dispatch(args, { out, err: out, terminal });
  return { code, text: lines.join('\n') };
}

/** A trace that is as it expects to be on 6.1, and hits the BUG_ON. */
const BUG = 'examples/traces/pin-needs-dma-unmap.json';

test('verdict of a rig that is as it should be is exit code 0, of one that is not 1 with a line a finding', async () => {
  expect(await done('verdict', '--url', rig.url)).toMatchObject({
    code: 0,
    text: expect.stringContaining('rig default (Linux 6.1): ok'),
  });
  await rig.pinned(synthetic('ignore'));
  const { code, text } = await done('verdict', '--url', rig.url);
  expect(code).toBe(1);
  expect(text).toContain('  FAIL  container c0 still has 1 pinned page\n');
  expect(text).toContain('  ok    no splats\n');
  expect((await done('verdict', '--url', rig.url, '--expect', 'pins,mappings')).code).toBe(0);
});

test('verdict of one rig, and of all', async () => {
  await rig.inRig('Other').pinned(synthetic('ignore'));
  expect((await done('verdict', '--url', rig.url)).code).toBe(0);
  expect((await done('verdict', '--url', rig.url, '--rig', 'Other')).code).toBe(1);
  const { code, text } = await done('verdict', '--url', rig.url, '--rigs', 'all', '--json');
  expect(code).toBe(1);
  expect(JSON.parse(text)).toMatchObject({
    ok: false,
    rigs: expect.arrayContaining([expect.objectContaining({ rig: 'Other', ok: false })]),
  });
  await client.dropRig('Other');
});

test('--junit writes a report beside the lines', async () => {
  const file = join(folder, 'report.xml');
  await rig.pinned(synthetic('ignore'));
  expect((await done('verdict', '--url', rig.url, '--junit', file)).code).toBe(1);
  expect(readFileSync(file, 'utf8')).toContain('<testsuite name="rig default" tests="10" failures="2"');
});

test('verdict of a trace runs it here', async () => {
  const { code, text } = await done('verdict', 'examples/traces/callback-deadlock.json', '--kernel', '6.1');
  expect(code).toBe(1);
  expect(text).toContain('FAIL  DEADLOCK');
  expect((await done('verdict', BUG, '--kernel', '6.1')).text).toContain('rig ');
});

test('replay and compare write JSON and JUnit too', async () => {
  const wrong = { id: 'wrong', steps: [{ call: 'open-container', expect: { errno: 'EPERM' } }] };
  const file = join(folder, 'traces.jsonl');
  const report = join(folder, 'report.xml');
  writeFileSync(file, `${JSON.stringify(wrong)}\n${JSON.stringify({ id: 'right <&>', steps: [] })}\n`);
  const { code, text } = await done('replay', file, '--json', '--junit', report);
  expect(code).toBe(1);
  expect(text.split('\n').map((line) => JSON.parse(line))).toEqual([
    {
      id: 'wrong',
      kernel: '6.1',
      steps: 1,
      differences: [{ step: 0, call: 'open-container', field: 'errno', expected: 'EPERM', actual: null }],
    },
    { id: 'right <&>', kernel: '6.1', steps: 0, differences: [] },
  ]);
  const xml = readFileSync(report, 'utf8');
  expect(xml).toContain('<testsuite name="replay" tests="2" failures="1"');
  expect(xml).toContain('name="right &lt;&amp;&gt;"');
  expect((await done('compare', 'examples/traces/nesting.json', '--junit', report)).code).toBe(1);
  expect(readFileSync(report, 'utf8')).toContain('<failure message="nesting: 2 steps differ (6 steps)">');
});

test('a service that is not there, or is something else, is not reached; what asks for a token gets that of AUTH_TOKEN', async () => {
  await expect(done('verdict', '--url', 'http://127.0.0.1:1')).rejects.toBeInstanceOf(UnreachableError);
  await expect(done('verdict', '--url', `${rig.url}/`, '--rig', 'nobody')).rejects.toThrow(
    'answered 404: there is no rig "nobody"',
  );
  const guarded = await startRig({ authToken: TOKEN });
  await guarded.listen();
  await expect(done('verdict', '--url', guarded.url)).rejects.toThrow('the environment variable AUTH_TOKEN');
  vi.stubEnv('AUTH_TOKEN', TOKEN);
  try {
    expect((await done('verdict', '--url', guarded.url)).code).toBe(0);
  } finally {
    vi.unstubAllEnvs();
    await guarded.close();
  }
});

test.each([
  [['--rigs', 'some'], '--rigs: "some" is not "all"'],
  [['--rigs', 'all', '--rig', 'x'], '--rig and --rigs: one of them'],
  [['--expect', 'BUG'], '--expect has "BUG", but must be words'],
  [[BUG, '--rig', 'x'], 'a TRACE is run here'],
  [['--kernel', '6.1'], '--kernel is of TRACEs'],
  [['--url', 'ftp://x'], '--url: "ftp://x" is not http://HOST:PORT'],
  [[BUG, '--kernel', '4.4'], '--kernel: "4.4" is not one of'],
  [['--junit', '/'], '--junit: '],
])('verdict %j is bad usage', async (args, words) => {
  const all = args.includes('--junit') ? [...args, BUG] : args;
  await expect(done('verdict', ...all)).rejects.toThrow(words);
});
