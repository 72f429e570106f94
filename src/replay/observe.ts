import { DRIVER_EXPECTED } from '../../schemas/drivers/index.ts';
import { hasHash } from '../json/base64.ts';
import type { DriverEffects } from '../kernel/driver.ts';
import { type Answer, bodyOf, errnoOf } from '../machine/answer.ts';
import { type CallResult, LazyBody } from '../machine/call-handler.ts';
import { hashOf, infoOf, PLAIN_FIELDS } from './compare.ts';
import type { Expectation, Observation } from './scenario.ts';

/** How many callbacks and log lines of a call have been looked at. */
export interface Shown {
  invalidations: number;
  log: number;
  /** Items of each list of effects. */
  effects: Record<string, number>;
}

/** Nothing has been looked at. */
export function nothingShown(): Shown {
  return { invalidations: 0, log: 0, effects: {} };
}

/**
 * What a client observes of a call: its answer (null: it is under way) and what has happened since it was last looked
 * at.
 */
export function observationOf(
  answer: Answer | null,
  { invalidations, log, effects }: Happened,
  shown: Shown,
  locked: Pick<Observation, 'lockedPages' | 'lockedPagesOf'>,
  devices: Observation['devices'] = {},
  models: Observation['models'] = {},
): Observation {
  const how = answer?.end.how;
  if (answer?.end.how === 'crashed') throw answer.end.error;
  const observation: Observation = {
    errno: answer && errnoOf(answer),
    killed: how === 'killed',
    wedged: how === 'wedged',
    pending: answer === null,
    body: answer ? bodyOf(answer) : {},
    invalidations: invalidations.slice(shown.invalidations),
    log: log.slice(shown.log),
    effects: newEffects(effects, shown.effects),
    devices,
    models,
    ...locked,
  };
  shown.invalidations = invalidations.length;
  shown.log = log.length;
  return observation;
}

/** What has happened of a call, be it answered or not. */
interface Happened {
  readonly invalidations: readonly unknown[];
  readonly log: readonly unknown[];
  readonly effects: DriverEffects | null;
}

/** What is new of the effects of a call; notes it as shown. */
function newEffects(effects: DriverEffects | null, shown: Shown['effects']): Observation['effects'] {
  const lists = Object.entries(effects ?? {}).map(([field, value]) => {
    const fresh = Array.isArray(value) ? value.slice(shown[field] ?? 0) : value;
    if (Array.isArray(value)) shown[field] = value.length;
    return [field, fresh] as const;
  });
  return Object.fromEntries(lists.filter(([, value]) => !Array.isArray(value) || value.length > 0));
}

/** The expectation of a call that returned, printed nothing and called nobody; null where more is to be said. */
export function plainExpectation(answer: Answer): Expectation | null {
  const { end, log, invalidations, effects, writtenBack } = answer;
  if (end.how !== 'returned' || log.length > 0 || invalidations.length > 0 || effects) return null;
  const { value } = end;
  if (typeof value === 'object' && (value.data !== undefined || value.dmaAvail !== undefined)) return null;
  return { ...plainExpectationOf(value), ...writtenBack };
}

/** The expectation of a call that answered this, with nothing beside it. */
export function plainExpectationOf(value: CallResult): Expectation {
  if (typeof value === 'string') return { errno: value };
  const body = value instanceof LazyBody ? value.fields() : value;
  return { errno: null, ...told(body) };
}

/** The fields of an answer that an expectation has as they are. */
function told(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields = ANSWERED.filter((field) => body[field] !== undefined && !isListOfRuns(field, body[field]));
  return Object.fromEntries(fields.map((field) => [field, body[field]]));
}

/** vfio-ccw's answers have what is pinned under the name that pin-pages has for a number. */
function isListOfRuns(field: string, value: unknown): boolean {
  return field === 'pinned' && typeof value !== 'number';
}

const ANSWERED = [...PLAIN_FIELDS, ...Object.keys(DRIVER_EXPECTED)];

/** An observation in the terms of a recording. A call that would never return `hangs`. */
export function expectationOf(seen: Observation & { hangs?: boolean }): Expectation {
  if (seen.hangs || seen.wedged) return { hangs: true };
  const { body } = seen;
  const expect: Expectation = {};
  if (seen.pending) expect.pending = true;
  else if (seen.killed) expect.killed = true;
  else expect.errno = seen.errno;
  Object.assign(expect, told(body), seen.effects);
  if (body.dmaAvail !== undefined) expect.info = infoOf(body);
  if (typeof body.data === 'string' || hasHash(body.data)) expect.fnv1a64 = hashOf(seen);
  if (seen.invalidations.length > 0) expect.invalidations = seen.invalidations as never;
  if (seen.log.length > 0) expect.log = seen.log as never;
  // After a kill nothing was read any more.
  if (!seen.killed && seen.lockedPages !== null) expect.lockedPages = seen.lockedPages;
  return expect;
}
