import { writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { batch } from './parts/batch.ts';
import { machine } from './parts/machine.ts';
import { startUp } from './parts/start.ts';
import { printTable } from './support/figures.ts';
import { cells } from './support/row.ts';

/** Every part in one run, one table: printed, and written to bench/RESULTS.md of the current folder. */
const HEAD = ['what', 'figure', 'limit', 'ratio', 'quartiles', 'goal', ''];
const rows = [HEAD, cells(machine()), cells(await batch()), cells(await startUp())];
printTable(rows);
const line = (row: readonly string[]) => `| ${row.join(' | ')} |`;
const table = [line(HEAD), line(HEAD.map(() => '---')), ...rows.slice(1).map(line)];
writeFileSync(
  'bench/RESULTS.md',
  [
    '# Results of `npm run bench`',
    '',
    `${new Date().toISOString().slice(0, 10)}, Node ${process.version}. A ratio is of figure to limit, measured in turns;`,
    'figures depend on the machine and on what else runs on it, ratios less.',
    `Processors: ${availableParallelism()}; processes that wanted one, on average of the last minute: ${loadavg()[0]!.toFixed(1)}.`,
    '',
    ...table,
    '',
  ].join('\n'),
);
