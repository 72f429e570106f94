import { parseArgs } from 'node:util';
import { ALPHABET, everySequence, MODELLED } from './exhaustive.ts';

const HELP = `usage: npm run exhaustive -- [--depth CALLS]

Every sequence of so many calls on one container with two devices and three pages, core against model.
`;

const { values } = parseArgs({
  options: { depth: { type: 'string', default: '4' }, help: { type: 'boolean' } },
});

if (values.help) console.log(HELP);
else {
  const depth = Number(values.depth);
  for (const version of MODELLED) {
    const began = performance.now();
    const count = everySequence(version, depth);
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(
      `${version}: ${count} sequences of ${depth} of ${ALPHABET} calls in ${seconds} s: core and model agree`,
    );
  }
}
