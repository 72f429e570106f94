import { writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { batch } from './parts/batch.ts';
import { core } from './parts/core.ts';
import { explore } from './parts/explore.ts';
import { machine } from './parts/machine.ts';
import { readers } from './parts/readers.ts';
import { requests } from './parts/requests.ts';
import { run } from './parts/run.ts';
import { stalls } from './parts/stalls.ts';
import { startUp } from './parts/start.ts';
import { webhooks } from './parts/webhooks.ts';
import { printTable } from './support/figures.ts';
import { cells, HEAD, type Row } from './support/row.ts';

/** Every part in one run, one table: printed, and written to bench/RESULTS.md. Named parts are printed alone. */
const PARTS: Readonly<Record<string, () => Promise<Row[]>>> = {
  requests,
  batch,
  start: startUp,
  webhooks,
  readers,
  stalls,
  machine,
  core,
  explore,
  run,
};

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in PARTS));
if (unknown !== undefined) {
  console.error(`"${unknown}" is no part: there are ${Object.keys(PARTS).join(', ')}`);
  process.exit(64);
}
const load = () => loadavg()[0]!.toFixed(1);
const before = load();
const table: string[][] = [];
for (const name of wanted.length > 0 ? wanted : Object.keys(PARTS)) {
  const rows = (await PARTS[name]!()).map(cells);
  table.push(...rows);
  printTable([HEAD, ...rows]);
}
if (wanted.length === 0) writeFileSync('bench/RESULTS.md', results());

function results(): string {
  const text = (row: readonly string[]) => `| ${row.join(' | ')} |`;
  return [
    '# Results of `npm run bench`',
    '',
    `${new Date().toISOString().slice(0, 10)}, Node ${process.version}. A ratio is of figure to limit, measured in turns;`,
    'figures depend on the machine and on what else runs on it, ratios less.',
    `Processors: ${availableParallelism()}; processes that wanted one, on average of a minute: ${before} when it began, ${load()} when it ended.`,
    '',
    text(HEAD),
    text(HEAD.map(() => '---')),
    ...table.map(text),
    '',
  ].join('\n');
}
