import { expect, test } from 'vitest';
import { PinnedKeys } from '../../../src/drivers/vfio-ap/pinned-keys.ts';
import { upTo } from '../../../src/kernel/saved/each.ts';
import { Random } from '../../simulation/random.ts';

test('keys added and taken in any order are those of a list from which the earliest is taken', () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = new Random(seed);
  const keys = new PinnedKeys();
  const list: bigint[] = [];
  for (let i = 0; i < 2000; i++) {
    const key = BigInt(random.upTo(20));
    if (random.upTo(5) < 3) {
      keys.add(key);
      list.push(key);
    } else {
      const at = list.indexOf(key);
      if (at >= 0) list.splice(at, 1);
      expect(keys.take(key), `seed ${seed}`).toBe(at >= 0);
    }
    if (i % 50 === 0) expect([...keys], `seed ${seed}`).toEqual(list);
  }
  expect([...upTo(keys, 3)], `seed ${seed}`).toEqual(list.slice(0, 3));
});
