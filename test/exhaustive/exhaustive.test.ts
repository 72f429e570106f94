import { expect, test } from 'vitest';
import { ALPHABET, everySequence, MODELLED } from './exhaustive.ts';

/** Calls of a sequence in every run of the tests; `npm run exhaustive` goes further. */
const DEPTH = 2;

test.each(MODELLED)(
  '%s: every sequence of a few calls is answered by the core as by the model',
  (version) => {
    const count = everySequence(version, DEPTH);
    console.log(`${version}: ${count} sequences of ${DEPTH} of ${ALPHABET} calls`);
    expect(count).toBe(ALPHABET ** DEPTH);
  },
);
