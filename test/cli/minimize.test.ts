import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { dispatch } from '../../src/cli/commands.ts';
import { explore, synthetic } from '../harness/explore.ts';

test('a trace of a file goes to stdout shrunk, and what it comes to is said', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'minimize-'));
  try {
    const [trace] = explore({ drivers: [synthetic('ignore')], goal: 'BUG_ON', pages: 1 }).traces;
    const file = join(folder, 'trace.json');
    const padded = [{ call: 'open-container', container: 'c9' }, ...trace!.steps];
    writeFileSync(file, JSON.stringify({ ...trace, steps: padded }));
    const out: string[] = [];
    const err: string[] = [];
    const terminal = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
    const output = { out: (line: string) => out.push(line), err: (line: string) => err.push(line), terminal };
    expect(await dispatch(['minimize', file], output)).toBe(0);
    expect((JSON.parse(out[0]!) as { steps: object[] }).steps).toHaveLength(trace!.steps.length);
    expect(err[0]).toMatch(`BUG_ON:B1: ${padded.length} steps shrunk to ${trace!.steps.length} (`);
    await expect(dispatch(['minimize', file, file], output)).rejects.toThrow(
      'minimize takes one trace, not 2',
    );
    await expect(dispatch(['minimize', file, '--goal', 'DEADLOCK'], output)).rejects.toThrow(
      'comes to no DEADLOCK',
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
