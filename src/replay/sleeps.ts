import { SLEEP_MAX_MS } from '../../schemas/calls/host.ts';
import type { CallObject } from '../../schemas/calls.ts';

/** The calls that let so many milliseconds of the host's own time pass. */
export function* sleeps(milliseconds: number): Generator<CallObject, void> {
  for (let left = milliseconds; left > 0; left -= SLEEP_MAX_MS) {
    yield { call: 'sleep', milliseconds: Math.min(left, SLEEP_MAX_MS) };
  }
}
