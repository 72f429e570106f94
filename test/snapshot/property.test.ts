import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { ALL_GENERATIONS } from '../../src/kernel/generations/index.ts';
import { fuzz } from '../harness/fuzz.ts';
import { newHost } from '../harness/host.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import { anyCall, anySetup } from '../model/random-calls.ts';
import { modelCall, modelSetup } from './model-devices.ts';
import { drain, hostFrom, make, type Outcome, seen, textOf } from './restored.ts';

/** Not those on which a call may wait for a vaddr: nobody brings it here, and a call on its way has no snapshot. */
const VERSIONS = ALL_GENERATIONS.filter(
  ({ type1 }) => !type1.unmapAllAndVaddr || type1.vaddrExcludesMdevs,
).map(({ version }) => version);

// Without fast-check's bias, which is towards short sequences.
const calls = fc.noBias(
  fc.array(fc.oneof({ weight: 2, arbitrary: anyCall }, { weight: 1, arbitrary: modelCall }), {
    minLength: 1,
    maxLength: 60,
    size: 'max',
  }),
);

/** How often each thing was in a snapshot: a run that never meets one shows nothing of it. */
const met = new Map<string, number>();

function same(what: string, actual: unknown, expected: unknown, done: readonly CallObject[]): void {
  if (isDeepStrictEqual(actual, expected)) return;
  const steps = done.map((call) => JSON.stringify(call)).join('\n');
  expect(actual, `${what}, after\n${steps}`).toEqual(expected);
}

function restoreAndGoOn(version: string, before: readonly CallObject[], after: readonly CallObject[]): void {
  const host = newHost(version);
  for (const call of before) make(host, call);
  drain(host);
  const text = textOf(host);
  const restored = hostFrom(text);
  same('the dump', dumpKernel(restored.kernel), dumpKernel(host.kernel), before);
  same('the second snapshot', textOf(restored), text, before);
  note(text);
  const outcomes: [CallObject, Outcome, Outcome][] = [];
  const done = [...before];
  for (const call of after) {
    done.push(call);
    const pair: [Outcome, Outcome] = [make(restored, call), make(host, call)];
    outcomes.push([call, ...pair]);
    same(call.call, seen(restored, pair[0]), seen(host, pair[1]), done);
  }
  drain(host);
  drain(restored);
  for (const [call, one, other] of outcomes) same(call.call, seen(restored, one), seen(host, other), done);
  same('the last snapshot', textOf(restored), textOf(host), done);
}

function note(text: string): void {
  for (const [what, pattern] of Object.entries({
    pins: /"holders":\[\[/,
    'shared pins': /"holders":\[\[\d+,\d+\],/,
    'former devices': /"formerDevices":\[\{/,
    wedged: /"splat":\{/,
    'dead readers': /"readers":\["/,
    dirty: /"dirty":\[\[/,
    stolen: /"stolen":\[\{/,
    'invalid vaddr': /"vaddrInvalid":true/,
    'red mappings': /"red":true/,
    overlaps: /"overlapPossible":true/,
    'queues of ap': /"savedIsc":\d/,
    'programs of ccw': /"fsm":"CP_PENDING"/,
    'queued work': /"workQueued":true/,
    'cache of gvt': /"gfn":/,
    'warned once': /"warnedOnce":\["/,
    faults: /"struck":[1-9]/,
    memory: /"content":/,
  })) {
    if (pattern.test(text)) met.set(what, (met.get(what) ?? 0) + 1);
  }
}

test('a restored host answers as the one its snapshot was taken of', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...VERSIONS),
      fc.tuple(anySetup, modelSetup, calls).map((parts) => parts.flat()),
      calls,
      restoreAndGoOn,
    ),
    fuzz('snapshot', 5000),
  );
  if (process.env.FC_SEEN) console.log([...met].map(([what, n]) => `${n} ${what}`).join('\n'));
});
