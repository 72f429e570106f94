import { expect, test } from 'vitest';
import { failEach, OUTSIDE, STORIES } from './fail-nth.ts';

const failed = new Map<string, number>();

test.each(STORIES)(
  '$name: whichever outside step fails, everybody is answered, nothing is left, and it can be told again',
  async (story) => {
    const steps = await failEach(story);
    console.log(`${story.name}: ${JSON.stringify(steps)}`);
    for (const [kind, count] of Object.entries(steps)) failed.set(kind, (failed.get(kind) ?? 0) + count);
    expect(steps.socket).toBeGreaterThan(3);
  },
);

test('every kind of outside step has failed in some story', () => {
  for (const kind of OUTSIDE) expect(failed.get(kind), kind).toBeGreaterThan(0);
});
