import { isDeepStrictEqual } from 'node:util';
import { KERNEL_EFFECTS } from '../../schemas/answers.ts';
import { DRIVER_EFFECTS, DRIVER_EXPECTED, DRIVER_OBSERVED } from '../../schemas/drivers/index.ts';
import { hasHash } from '../json/base64.ts';
import { Fnv } from '../json/fnv.ts';
import { comparableEffects } from './compare-effects.ts';
import type { Expectation, Observation } from './scenario.ts';

/** The hash of the bytes that an answer carries. */
export function hashOf({ body: { data } }: Observation): string {
  if (hasHash(data)) return data.hash;
  return new Fnv().take(Buffer.from(String(data ?? ''), 'base64')).value;
}

/** Fields of an answer that an expectation has as they are. */
export const PLAIN_FIELDS = ['size', 'pinned', 'unpinned', 'value', 'dirtyPages'] as const;

/** The fields of iommu-info. */
const INFO_FIELDS = ['pageSizes', 'dmaAvail', 'dirtyPageSizes', 'maxDirtyBitmapSize', 'iovaRanges'];

/** What an answer to iommu-info says, as an expectation has it. */
export function infoOf(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    INFO_FIELDS.filter((field) => field in body).map((field) => [field, body[field]]),
  );
}

/** A field of the expectation that did not come true. */
interface Mismatch {
  field: string;
  expected: unknown;
  actual: unknown;
}

/** Fields that the recordings have for the reader: addresses of the recorded host. */
const INFORMATIVE = new Set(['cpa']);

/**
 * What driver models did, answered, and are in. An expectation that tells of devices tells all that they did; one
 * that does not is compared in what it has.
 */
function compareModels(
  expect: Expectation,
  { body, effects, devices, models }: Observation,
  check: (field: string, expected: unknown, actual: unknown) => void,
): void {
  const [expected, actual] = [comparableEffects(expect), comparableEffects(effects)];
  for (const field of Object.keys(DRIVER_EFFECTS) as (keyof typeof DRIVER_EFFECTS)[]) {
    if (expect[field] !== undefined || expect.devices) check(field, expected[field], actual[field]);
  }
  for (const field of Object.keys(DRIVER_EXPECTED) as (keyof typeof DRIVER_EXPECTED)[]) {
    if (expect[field] !== undefined) check(field, comparable(expect[field]), body[field]);
  }
  for (const field of Object.keys(DRIVER_OBSERVED) as (keyof typeof DRIVER_OBSERVED)[]) {
    if (expect[field] !== undefined || expect.devices) check(field, expect[field], models[field]);
  }
  for (const [device, expected] of Object.entries(expect.devices ?? {})) {
    // The recordings tell of a device that was removed as well.
    const actual = devices[device];
    if (!actual) continue;
    const told = Object.fromEntries(Object.keys(expected).map((field) => [field, actual[field]]));
    check(`devices.${device}`, expected, told);
  }
}

function comparable(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([field]) => !INFORMATIVE.has(field)));
}

/** Holds an observation against an expectation: every field, in order of importance. */
export function compare(expect: Expectation, seen: Observation): Mismatch[] {
  const found: Mismatch[] = [];
  const check = (field: string, expected: unknown, actual: unknown) => {
    if (!isDeepStrictEqual(expected, actual)) found.push({ field, expected, actual });
  };
  const { body } = seen;
  if (expect.pending) check('pending', true, seen.pending);
  else if (expect.killed) check('killed', true, seen.killed);
  else check('errno', expect.errno ?? null, seen.errno);
  for (const field of PLAIN_FIELDS) {
    if (expect[field] !== undefined) check(field, expect[field], body[field]);
  }
  if (expect.info) check('info', expect.info, infoOf(body));
  if (expect.fnv1a64) {
    check('fnv1a64', expect.fnv1a64, hashOf(seen));
  }
  check('invalidations', expect.invalidations ?? [], seen.invalidations);
  if (expect.log || !(expect.kernelLog || expect.devices)) check('log', expect.log ?? [], seen.log);
  compareModels(expect, seen, check);
  for (const field of Object.keys(KERNEL_EFFECTS) as (keyof typeof KERNEL_EFFECTS)[]) {
    if (expect[field] !== undefined) check(field, expect[field], seen.effects[field]);
  }
  // That user space has driven a device may be of a scenario before.
  if (expect.user === false) check('user', false, body.user);
  if (expect.lockedPages !== undefined) check('lockedPages', expect.lockedPages, seen.lockedPages);
  if (expect.lockedPagesOf) check('lockedPagesOf', expect.lockedPagesOf, seen.lockedPagesOf);
  return found;
}
