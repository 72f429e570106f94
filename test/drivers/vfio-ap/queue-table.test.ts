import { expect, test } from 'vitest';
import { QueueTable, VfioApQueue } from '../../../src/drivers/vfio-ap/queue.ts';

/** APQNs whose hash is the same: they are in one bucket. */
const [A, B, C] = [0, 144, 377] as const;

function tableOf(...apqns: number[]): { table: QueueTable; queues: VfioApQueue[] } {
  const table = new QueueTable();
  const queues = apqns.map((apqn) => new VfioApQueue(apqn));
  for (const q of queues) table.add(q);
  return { table, queues };
}

const listed = (table: QueueTable) => table.list().map(({ apqn }) => apqn);

test('a bucket has the newest queue first, buckets are in the order of their hash', () => {
  expect(listed(tableOf(1, A, 3, B, 2, C).table)).toEqual([C, B, A, 3, 1, 2]);
});

test('a queue that leaves its bucket leaves the others there, in their order', () => {
  const { table, queues } = tableOf(A, B, C);
  table.delete(queues[1]!);
  expect(listed(table)).toEqual([C, A]);
  expect(table.get(B)).toBeUndefined();
  expect(table.get(A)).toBe(queues[0]);
  table.delete(queues[1]!);
  expect(listed(table)).toEqual([C, A]);
});

test('another queue of the same APQN is not the one that is deleted', () => {
  const { table, queues } = tableOf(A);
  table.delete(new VfioApQueue(A));
  expect(table.get(A)).toBe(queues[0]);
});
