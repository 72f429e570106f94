import { parseArgs } from 'node:util';
import { type Report, Simulator, STEPS } from './simulation.ts';

const HELP = `usage: npm run simulate -- [--seeds COUNT] [--from SEED] [--seed SEED] [--steps STEPS]

Simulates the whole service in virtual time, seed by seed, and stops at the first that breaks an invariant.
`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '0' },
    seed: { type: 'string' },
    steps: { type: 'string', default: String(STEPS) },
    help: { type: 'boolean' },
  },
});

/** Seeds between two lines that say how far it is. */
const LINE_EVERY = 100;

async function main(): Promise<void> {
  const from = Number(values.seed ?? values.from);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  const steps = Number(values.steps);
  const total = {
    requests: 0,
    deliveries: 0,
    compared: 0,
    replayed: 0,
    kernels: 0,
    charges: 0,
    pins: 0,
    locks: 0,
  };
  const simulator = new Simulator();
  const began = Date.now();
  for (let seed = from; seed < from + count; seed++) {
    add(total, await simulator.run(seed, steps));
    const done = seed - from + 1;
    if (done % LINE_EVERY === 0 || done === count) {
      const seconds = ((Date.now() - began) / 1000).toFixed(1);
      const { user, system } = process.cpuUsage();
      const cpu = ((user + system) / 1e6).toFixed(1);
      console.log(`${done} seeds in ${seconds} s (${cpu} s of CPU): ${JSON.stringify(total)}`);
    }
  }
}

function add(
  total: Record<string, number>,
  { requests, deliveries, compared, replayed, checked }: Report,
): void {
  for (const [name, value] of Object.entries({ requests, deliveries, compared, replayed, ...checked })) {
    total[name] = (total[name] ?? 0) + value;
  }
}

if (values.help) console.log(HELP);
else {
  main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
