import { expect, test } from 'vitest';
import { Simulator } from './simulation.ts';

/** Seeds that every run of the tests simulates; `npm run simulate` has longer ones, and as many as one likes. */
const SEEDS = 200;
const STEPS = 10;

test(`${SEEDS} seeds of clients, drivers, faults, resets and stops break no invariant`, async () => {
  const simulator = new Simulator();
  const total = { requests: 0, deliveries: 0, compared: 0, replayed: 0, charges: 0, pins: 0 };
  for (let seed = 0; seed < SEEDS; seed++) {
    const { requests, deliveries, compared, replayed, checked } = await simulator.run(seed, STEPS);
    total.requests += requests;
    total.deliveries += deliveries;
    total.compared += compared;
    total.replayed += replayed;
    total.charges += checked.charges;
    total.pins += checked.pins;
  }
  // A simulation in which nothing happens would show nothing.
  for (const [what, count] of Object.entries(total)) expect(count, what).toBeGreaterThan(10);
  expect(total.requests).toBeGreaterThan(SEEDS * 10);
});
