import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { pythonClient } from '../../src/docs/python/client.ts';
import { useOneRig } from '../harness/http-rig.ts';

const FOLDER = fileURLToPath(new URL('../../clients/python/', import.meta.url));
const hasPython = spawnSync('python3', ['--version']).status === 0;

const service = useOneRig();
let url: string;
beforeAll(async () => {
  await service.listen();
  url = service.url;
});

/** Runs Python in the client's folder with nothing from outside it. */
async function python(...args: string[]): Promise<string> {
  const env = { PATH: process.env.PATH, VFIO_HOST_URL: url, PYTHONDONTWRITEBYTECODE: '1' };
  const { stdout, stderr } = await promisify(execFile)('python3', ['-s', ...args], { cwd: FOLDER, env });
  return stdout + stderr;
}

test('python3 is there where tests must not be left out', () => {
  if (process.env.CI) expect(hasPython).toBe(true);
});

test('its operations are what openapi.json says (if not: npm run openapi)', () => {
  const document = JSON.parse(readFileSync(new URL('../../openapi.json', import.meta.url), 'utf8'));
  expect(readFileSync(`${FOLDER}vfio_host/_operations.py`, 'utf8')).toBe(pythonClient(document));
});

describe.skipIf(!hasPython)('the Python client', () => {
  test('its own tests: the lore thread, a driver in the process, what waits, errors', async () => {
    expect(await python('-W', 'error', '-m', 'unittest', '-v', 'test_vfio_host')).toMatch(
      /Ran 7 tests[\s\S]*OK/,
    );
  });

  test('the program of its README says what it should', async () => {
    const [, program] = /```python\n([\s\S]*?)```/.exec(readFileSync(`${FOLDER}README.md`, 'utf8'))!;
    const here = program!.replace('http://127.0.0.1:8080', url);
    expect(here).toContain(url);
    expect(await python('-c', here)).toBe('True ++retries > 10\n');
  });
});
