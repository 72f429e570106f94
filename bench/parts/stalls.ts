import { number } from '../support/figures.ts';
import { type Row, row } from '../support/row.ts';
import { WORKS } from '../support/stall-works.ts';
import { Target } from '../support/target.ts';

const ROUNDS = 3;
/** The longest that nobody else has a turn, milliseconds. */
const LIMIT_MS = 20;

/** The longest that a service's event loop stands still during each work. STALLS names those that are wanted. */
export async function stalls(): Promise<Row[]> {
  const wanted = process.env.STALLS ?? '';
  let service = await Target.start('service');
  const rows: Row[] = [];
  for (const { what, fresh, before, work } of WORKS.filter((one) => one.what.includes(wanted))) {
    const longest: number[] = [];
    const gc: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      if (fresh) {
        await service.stop();
        service = await Target.start('service');
      }
      await before?.(service);
      await service.ask('watch');
      await work(service);
      const told = await service.ask('stall');
      longest.push(told.stallMs);
      gc.push(told.gcMs);
    }
    const limits = longest.map(() => LIMIT_MS);
    const collected = gc.map((ms) => number(ms)).join(', ');
    if (process.env.STALLS_TOLD) console.error(what, longest, gc);
    rows.push(
      row(`longest stall: ${what} (of it garbage: ${collected})`, 'ms', longest, limits, { atMost: 1 }),
    );
  }
  await service.stop();
  return rows;
}
