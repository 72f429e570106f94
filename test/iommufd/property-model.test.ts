import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { test } from 'vitest';
import type { Host } from '../../src/host/host.ts';
import { bodyOf } from '../../src/machine/answer.ts';
import { Refused } from '../../src/machine/refused.ts';
import { checkCall } from '../../src/machine/table.ts';
import { fuzz } from '../harness/fuzz.ts';
import { newHost } from '../harness/host.ts';
import { type IommufdOp, iommufdOp, iommufdSetup } from '../model/iommufd-calls.ts';
import { known, states } from '../model/iommufd-state.ts';
import { NaiveIommufdHost } from '../model/naive-iommufd-host.ts';
import type { Call } from '../model/naive-values.ts';

/** What a call came to in the emulator, in the model's terms. */
function emulate(host: Host, call: Call) {
  try {
    const answer = host.start(checkCall(call)).answer!;
    const { end, invalidations, log } = answer;
    const errno = end.how === 'returned' && typeof end.value === 'string' ? end.value : null;
    return {
      end: end.how,
      errno,
      body: known(bodyOf(answer)),
      invalidations,
      log: log.map((entry) => ({
        kind: entry.kind,
        what: 'condition' in entry ? entry.condition : entry.text,
      })),
    };
  } catch (error) {
    if (!(error instanceof Refused) || error.kind !== 'not-found') throw error;
    return { end: 'not found', errno: null, body: {}, invalidations: [], log: [] };
  }
}

/** How often each kind of answer was seen: a generator that stops reaching them would prove nothing. */
const seen = new Map<string, number>();

function note(what: string): void {
  seen.set(what, (seen.get(what) ?? 0) + 1);
}

function same(what: string, calls: readonly Call[], model: unknown, emulator: unknown): void {
  if (isDeepStrictEqual(model, emulator)) return;
  const lines = calls.map((call) => JSON.stringify(call)).join('\n');
  throw new Error(
    `${what}\nmodel:    ${JSON.stringify(model)}\nemulator: ${JSON.stringify(emulator)}\nafter\n${lines}`,
  );
}

function runBoth(prefix: readonly Call[], ops: readonly IommufdOp[]): void {
  const host = newHost('6.12-iommufd');
  const model = new NaiveIommufdHost();
  const calls: Call[] = [];
  for (const next of [...prefix, ...ops]) {
    const call = 'callFor' in next ? (next as IommufdOp).callFor(model) : (next as Call);
    calls.push(call);
    const { body, ...rest } = model.apply(call);
    same(`answer of ${call.call}`, calls, { ...rest, body: known(body) }, emulate(host, call));
    for (const [id, { locked }] of model.processes) {
      same(`locked pages of ${id}`, calls, Number(locked), host.machine.process(id).lockedVm);
    }
    for (const { what } of rest.log) note(what);
    note(`${call.call} ${rest.errno ?? 'ok'}`);
  }
  const { modelled, emulated } = states(model, host.kernel);
  same('state', calls, modelled, emulated);
}

test('random calls are answered by the emulator as by the naive model of iommufd', () => {
  fc.assert(
    // Without fast-check's bias, which is towards short sequences.
    fc.property(
      iommufdSetup,
      fc.noBias(fc.array(iommufdOp, { minLength: 1, maxLength: 100, size: 'max' })),
      runBoth,
    ),
    fuzz('iommufd-model'),
  );
  if (process.env.FC_SEEN) {
    const lines = [...seen].sort(([a], [b]) => (a < b ? -1 : 1));
    console.log(lines.map(([what, n]) => `${n} ${what}`).join('\n'));
  }
});
