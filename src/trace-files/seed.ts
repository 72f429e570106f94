import { RigSetup } from '../../schemas/setup.ts';
import type { Snapshot } from '../../schemas/snapshot.ts';
import { UsageError } from '../arguments.ts';
import type { Host } from '../host/host.ts';
import { type Generation, generationOf, VERSIONS_IN_WORDS } from '../kernel/generations/index.ts';
import type { MachineLimits } from '../machine/limits.ts';
import { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { validator } from '../machine/validate.ts';
import { ScenarioRun } from '../replay/run.ts';
import type { Scenario } from '../replay/scenario.ts';
import { stepsOf } from '../setup/calls-text.ts';
import { SetupRefused, setUp, setUpAtOnce, setUpTrace } from '../setup/run.ts';
import { callsOf } from '../setup/steps.ts';
import { checkSnapshot, generationOfSnapshot, restoreSnapshot } from '../snapshot/restore.ts';
import { parseJson, readText, tracesIn } from './traces.ts';

const checkSetup = validator(RigSetup);

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
 * Reads a seed: a snapshot, a setup, one trace, or a batch (a call a line), gzipped where the file's name ends in `.gz`.
 * It is tried on a machine that is thrown away: a snapshot must be restorable within the limits, a trace must go as it
 * expects and end with no call under way, and every call of a setup or a batch must succeed.
 *
 * A snapshot is the state of one kernel: a rig that is reset to another one starts empty, and so does one on which a
 * setup cannot be made. A trace or a batch is run on whichever kernel the rig has.
 *
 * @throws SeedError or TraceError for a file that cannot be used
 */
export function readSeed(path: string, limits: MachineLimits, kernel: string): Seed {
  const text = readText(path);
  try {
    return seedOf(text, path, limits, kernel);
  } catch (error) {
    if (!(error instanceof Refused || error instanceof SetupRefused || error instanceof SeedError))
      throw error;
    throw new SeedError(`${path}: ${error.message}`);
  }
}

function seedOf(text: string, path: string, limits: MachineLimits, kernel: string): Seed {
  const value = parseJson(text);
  if (isCalls(text)) return seedOfTrace({ id: path, kernel, steps: stepsOf(text) }, limits);
  if (typeof value !== 'object' || value === null || 'steps' in value || 'scenario' in value) {
    const [trace, ...more] = tracesIn(text, path);
    if (!trace || more.length > 0) throw new SeedError(`has ${more.length + 1} traces, but must have one`);
    return seedOfTrace(trace, limits);
  }
  if ('format' in value) return seedOfSnapshot(checkSnapshot(value, 'snapshot'), limits);
  checkSetup(value, 'setup');
  return seedOfSetup(value as RigSetup, limits, kernel);
}

/** Whether a text has a call a line: its first one is one. */
function isCalls(text: string): boolean {
  const [first = ''] = text.split('\n').filter((line) => line.trim() !== '');
  const value = parseJson(first);
  return typeof value === 'object' && value !== null && 'call' in value;
}

/** A setup is made on the kernel that it names, else on the one that is configured. */
function seedOfSetup(setup: RigSetup, limits: MachineLimits, configured: string): Seed {
  const kernel = setup.kernel ?? configured;
  const gen = generationOf(kernel);
  if (!gen) throw noKernel(kernel);
  const tryOn = (one: Generation) => setUpAtOnce(setUp(new Machine(one, limits), callsOf(setup)));
  tryOn(gen);
  return {
    kernel,
    apply({ kernel: { gen: its }, machine }) {
      if (its !== gen) {
        try {
          tryOn(its);
        } catch (error) {
          if (error instanceof SetupRefused) return;
          throw error;
        }
      }
      setUpAtOnce(setUp(machine, callsOf(setup)));
    },
  };
}

function noKernel(version: string): SeedError {
  return new SeedError(`kernel is "${version}", but must be one of ${VERSIONS_IN_WORDS}`);
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
  if (!gen) throw noKernel(trace.kernel);
  setUpAtOnce(setUpTrace(new Machine(gen, limits), trace.steps, (index) => `step ${index}`));
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
