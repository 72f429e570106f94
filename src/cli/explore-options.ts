import type { Driver } from '../../schemas/drivers/index.ts';
import { ALSO_NAMES, type AlsoName } from '../../schemas/explore.ts';
import { UsageError } from '../arguments.ts';
import { ALSO } from '../explore/also.ts';
import { GOAL_HELP, isGoal } from '../explore/goals.ts';
import { DEFAULTS, type ExploreRequest } from '../explore/request.ts';
import { DEFAULT_VERSION, KERNEL_VERSIONS } from '../kernel/generations/index.ts';
import { Refused } from '../machine/refused.ts';
import { parseDevices } from '../run/spec.ts';
import { generationNamed } from './usage.ts';

/** The options of what is explored, and how far. */
export const EXPLORE_OPTIONS = {
  kernel: { type: 'string' },
  driver: { type: 'string', multiple: true },
  goal: { type: 'string' },
  also: { type: 'string', multiple: true },
  depth: { type: 'string' },
  pages: { type: 'string' },
  mappings: { type: 'string' },
  time: { type: 'string' },
  memory: { type: 'string' },
  out: { type: 'string' },
} as const;

const ALSO_HELP = ALSO_NAMES.map((name) => `                     ${name}: ${ALSO[name].about}`).join('\n');

/** What help says of the scene. */
export const SCENE_HELP = `  --driver SPEC      a driver, as TYPE[,key=value…] or as JSON: vfio-ap, synthetic,onDmaUnmap=ignore,holdCallbacks=true;
                     webhook:URL is a driver of your own, which is called
  --kernel VERSION   one of ${KERNEL_VERSIONS.join(', ')} (default ${DEFAULT_VERSION})
  --goal GOAL        ${GOAL_HELP}
  --also KIND        other calls that may be made, each time one of:
${ALSO_HELP}`;

/** The values of those options. */
type ExploreValues = { readonly [K in keyof typeof EXPLORE_OPTIONS]?: unknown };

/**
 * What a command line asks of the explorer.
 *
 * @param command for messages
 */
export function requestOf(command: string, values: ExploreValues): ExploreRequest {
  const {
    kernel = DEFAULT_VERSION,
    driver = [],
    goal,
    also = [],
  } = values as { kernel?: string; driver?: string[]; goal?: string; also?: string[] };
  if (driver.length === 0) throw new UsageError(`${command} needs a driver: --driver SPEC`);
  return {
    gen: generationNamed(kernel, '--kernel:'),
    drivers: driver.map(driverOf),
    goal: goalOf(goal),
    pages: countOf(values, 'pages', DEFAULTS.pages, 16),
    mappings: countOf(values, 'mappings', DEFAULTS.mappings, 64),
    also: also.map(alsoOf),
    bounds: {
      depth: countOf(values, 'depth', DEFAULTS.depth, 1000),
      time: countOf(values, 'time', DEFAULTS.seconds, 1_000_000),
      memory: countOf(values, 'memory', DEFAULTS.megabytes, 65_536) * 2 ** 20,
    },
  };
}

/** The goal a command line names; null where it names none. */
export function goalOf(goal: string | undefined): string | null {
  if (goal !== undefined && !isGoal(goal)) throw new UsageError(`--goal: "${goal}" is not ${GOAL_HELP}`);
  return goal ?? null;
}

function alsoOf(name: string): AlsoName {
  const known = ALSO_NAMES.find((one) => one === name);
  if (known) return known;
  throw new UsageError(`--also: "${name}" is not one of ${ALSO_NAMES.join(', ')}`);
}

/** An option that is a positive integer. */
export function countOf(values: object, name: string, fallback: number, most: number): number {
  const text = (values as Record<string, string | undefined>)[name];
  if (text === undefined) return fallback;
  const value = /^[1-9][0-9]{0,8}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > most)
    throw new UsageError(`--${name}: "${text}" is not an integer from 1 to ${most}`);
  return value;
}

function driverOf(spec: string): Driver {
  if (/^webhook:https?:/.test(spec)) {
    return { type: 'webhook', url: spec.slice('webhook:'.length), openDevice: true, closeDevice: true };
  }
  const given = spec.startsWith('{')
    ? parseJson(spec)
    : (parseDevices([`mdev:${spec}`], false)[0]!.create.driver as Driver);
  if (given.type === 'synthetic' && given.onDmaUnmap === undefined) {
    return { ...given, onDmaUnmap: 'unpin-range' } as Driver;
  }
  return given;
}

function parseJson(spec: string): Driver {
  try {
    return JSON.parse(spec) as Driver;
  } catch (error) {
    throw new UsageError(`--driver "${spec}": ${(error as Error).message}`);
  }
}

/** Does something of which a refusal is the fault of the command line. */
export function refusedAsUsage<T>(where: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refused) throw new UsageError(`${where}: ${error.message}`);
    throw error;
  }
}
