import type { Snapshot } from '../../schemas/snapshot.ts';
import { UsageError } from '../arguments.ts';
import type { Host } from '../host/host.ts';
import { generationOf, KERNEL_VERSIONS } from '../kernel/generations/index.ts';
import type { MachineLimits } from '../machine/limits.ts';
import { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { replay } from '../replay/replay.ts';
import { ScenarioRun } from '../replay/run.ts';
import type { Scenario } from '../replay/scenario.ts';
import { checkSnapshot, generationOfSnapshot, restoreSnapshot } from '../snapshot/restore.ts';
import { parseJson, readText, tracesIn } from './traces.ts';

/** A file that cannot seed a rig; the message names it and why. */
export class SeedError extends UsageError {}

/** The state in which rigs start. */
interface Seed {
  /** The kernel it is for: fresh rigs have it. */
  readonly kernel: string;
  /** Brings a host that is as after a reset into the state. */
  apply(host: Host): void;
}

/**
 * Reads a seed: a snapshot, or one trace, gzipped where the file's name ends in `.gz`. It is tried on a machine that
 * is thrown away: a snapshot must be restorable within the limits, a trace must go as it expects, and end with no
 * call under way.
 *
 * A snapshot is the state of one kernel: a rig that is reset to another one starts empty. A trace is run on
 * whichever kernel the rig has.
 *
 * @throws SeedError or TraceError for a file that cannot be used
 */
export function readSeed(path: string, limits: MachineLimits): Seed {
  const text = readText(path);
  const value = parseJson(text);
  try {
    if (typeof value === 'object' && value !== null && 'format' in value) {
      return seedOfSnapshot(checkSnapshot(value, 'snapshot'), limits);
    }
    const [trace, ...more] = tracesIn(text, path);
    if (!trace || more.length > 0) throw new SeedError(`has ${more.length + 1} traces, but must have one`);
    return seedOfTrace(trace, limits);
  } catch (error) {
    if (!(error instanceof Refused || error instanceof SeedError)) throw error;
    throw new SeedError(`${path}: ${error.message}`);
  }
}

function seedOfSnapshot(snapshot: Snapshot, limits: MachineLimits): Seed {
  const machine = new Machine(generationOfSnapshot(snapshot, 'snapshot'), limits);
  restoreSnapshot(machine, snapshot, 'snapshot');
  return {
    kernel: snapshot.kernel,
    apply(host) {
      if (host.kernel.gen.version === snapshot.kernel) host.restore(snapshot, 'snapshot');
    },
  };
}

function seedOfTrace(trace: Scenario, limits: MachineLimits): Seed {
  const gen = generationOf(trace.kernel);
  if (!gen) {
    throw new SeedError(`kernel is "${trace.kernel}", but must be one of ${KERNEL_VERSIONS.join(', ')}`);
  }
  const machine = new Machine(gen, limits);
  const [difference] = replay(machine, trace);
  if (difference) {
    const { step, call, field, expected, actual } = difference;
    throw new SeedError(
      `step ${step} (${call}): ${field} is ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`,
    );
  }
  const underway = machine.underway();
  if (underway.length > 0) throw new SeedError(`the trace ends with calls under way: ${underway.join('; ')}`);
  return { kernel: trace.kernel, apply: ({ machine: fresh }) => run(fresh, trace) };
}

/** Makes the calls of a trace. What another kernel refuses to know is passed over. */
function run(machine: Machine, trace: Scenario): void {
  const steps = new ScenarioRun(machine);
  for (const [index, step] of trace.steps.entries()) {
    try {
      steps.take(step, index);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
}
