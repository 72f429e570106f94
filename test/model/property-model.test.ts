import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import type { Host } from '../../src/host/host.ts';
import { Refused } from '../../src/machine/refused.ts';
import { checkCall } from '../../src/machine/table.ts';
import { fuzz } from '../harness/fuzz.ts';
import { newHost } from '../harness/host.ts';
import { type Op, op, setup } from './model-calls.ts';
import { NaiveHost } from './naive-model.ts';
import type { Call } from './naive-values.ts';
import { emulatedState, known, modelState } from './type1-state.ts';

/** What a call came to in the emulator, in the model's terms. */
function emulate(host: Host, call: Call) {
  let answer: ReturnType<Host['start']>['answer'];
  try {
    answer = host.start(checkCall(call)).answer;
  } catch (error) {
    if (!(error instanceof Refused) || error.kind !== 'not-found') throw error;
    return { end: 'not found', errno: null, body: {}, invalidations: [], log: [] };
  }
  const { end, invalidations, log } = answer!;
  const value = end.how === 'returned' ? end.value : {};
  return {
    end: end.how,
    errno: typeof value === 'string' ? value : null,
    body: typeof value === 'string' ? {} : known(toReply(answer!).body),
    invalidations,
    log: log.map((entry) => ({
      kind: entry.kind,
      what: 'text' in entry ? entry.text : entry.condition,
    })),
  };
}

/** How often each kind of answer was seen: a generator that stops reaching them would prove nothing. */
const seen = new Map<string, number>();

function same(what: string, calls: readonly Call[], model: unknown, emulator: unknown): void {
  if (isDeepStrictEqual(model, emulator)) return;
  const lines = calls.map((call) => JSON.stringify(call)).join('\n');
  throw new Error(
    `${what}\nmodel:    ${JSON.stringify(model)}\nemulator: ${JSON.stringify(emulator)}\nafter\n${lines}`,
  );
}

function runBoth(prefix: readonly Call[], ops: readonly Op[]): void {
  const host = newHost();
  const model = new NaiveHost();
  const calls: Call[] = [];
  for (const next of [...prefix, ...ops]) {
    const call = 'callFor' in next ? (next as Op).callFor(model) : (next as Call);
    if (!model.inScope(call)) continue;
    calls.push(call);
    const { body, ...rest } = model.apply(call);
    const expected = { ...rest, body: known(body) };
    const actual = emulate(host, call);
    same(`answer of ${call.call}`, calls, expected, actual);
    for (const [id, { locked }] of model.processes) {
      same(`locked pages of ${id}`, calls, Number(locked), host.machine.process(id).lockedVm);
    }
    for (const { kind, what } of expected.log) note(`${kind} ${what}`);
    note(`${call.call} ${expected.end === 'returned' ? (expected.errno ?? 'ok') : expected.end}`);
  }
  same('state', calls, modelState(model), emulatedState(host.kernel));
}

function note(what: string): void {
  const key = what.replace(/\(\d+\)/, '(limit)');
  seen.set(key, (seen.get(key) ?? 0) + 1);
}

test('random calls are answered by the emulator as by the naive model', () => {
  fc.assert(
    // Without fast-check's bias, which is towards short sequences.
    fc.property(setup, fc.noBias(fc.array(op, { minLength: 1, maxLength: 100, size: 'max' })), runBoth),
    fuzz('property-model'),
  );
  if (process.env.FC_SEEN)
    console.log(
      [...seen]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([k, n]) => `${n} ${k}`)
        .join('\n'),
    );
});
