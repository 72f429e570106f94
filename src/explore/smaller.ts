import { addressOf, hex, offsetInPage, PAGE_SIZE, pageOf } from '../kernel/pages.ts';
import type { Step } from '../replay/scenario.ts';

/** Fields that are addresses of the two spaces there are; frame numbers are addresses without their last 12 bits. */
const IOVA = ['iova', 'nib', 'program', 'dmaAddr', 'gfn'];
const VADDR = ['vaddr', 'start'];
/** Fields that say how much, in bytes or pages, with the least that makes sense. */
const AMOUNTS: Readonly<Record<string, number>> = { size: PAGE_SIZE, npage: 1, length: 1, times: 1 };

/** Traces that are as this one, but for something that is smaller or not said: the largest steps first. */
export function* smallerSteps(steps: readonly Step[]): Generator<Step[], void> {
  yield* withoutFields(steps);
  yield* smallerAmounts(steps);
  yield* lowerPages(steps, IOVA);
  yield* lowerPages(steps, VADDR);
  yield* lowerAddresses(steps);
}

function withField(steps: readonly Step[], at: number, field: string, value: unknown): Step[] {
  return steps.map((step, i) => (i === at ? { ...step, [field]: value } : step));
}

/** Each field left out, and each of a driver's. What a call needs it is refused without. */
function* withoutFields(steps: readonly Step[]): Generator<Step[], void> {
  for (const [at, step] of steps.entries()) {
    for (const field of Object.keys(step)) {
      if (['call', 'async', 'of', 'container', 'device', 'process'].includes(field)) continue;
      const { [field]: _left, ...rest } = step;
      yield steps.map((other, i) => (i === at ? (rest as Step) : other));
    }
    if (typeof step.driver !== 'object' || step.driver === null) continue;
    for (const field of Object.keys(step.driver)) {
      if (field === 'type') continue;
      const { [field]: _left, ...rest } = step.driver as Record<string, unknown>;
      yield withField(steps, at, 'driver', rest);
    }
  }
}

/** Each amount made the least, or half of what it is: first wherever it is the same, then in one step alone. */
function* smallerAmounts(steps: readonly Step[]): Generator<Step[], void> {
  for (const [at, step] of steps.entries()) {
    for (const [field, least] of Object.entries(AMOUNTS)) {
      const value = numberOf(step[field]);
      if (value === null) continue;
      const inBytes = typeof step[field] === 'string';
      const half = Math.floor(Number(value) / 2 / least) * least;
      for (const amount of new Set([least, half])) {
        if (amount < least || amount >= Number(value)) continue;
        const smaller = inBytes ? hex(BigInt(amount)) : amount;
        yield steps.map((one) => (one[field] === step[field] ? { ...one, [field]: smaller } : one));
        yield withField(steps, at, field, smaller);
      }
    }
  }
}

/** All pages from one on moved down, as far as its neighbour below or part of the way; the lowest to page 1. */
function* lowerPages(steps: readonly Step[], fields: readonly string[]): Generator<Step[], void> {
  const pages = new Set<number>();
  eachAddress(steps, fields, (page) => void pages.add(page));
  const sorted = [...pages].sort((a, b) => a - b);
  for (const [i, page] of sorted.entries()) {
    const free = page - (i === 0 ? 1 : sorted[i - 1]! + 1);
    for (let by = free; by >= 1; by = Math.floor(by / 2)) {
      yield moved(steps, fields, page, by);
    }
  }
}

function moved(steps: readonly Step[], fields: readonly string[], from: number, by: number): Step[] {
  return steps.map((step) => {
    const lowered: Record<string, unknown> = {};
    eachAddress([step], fields, (page, offset, field) => {
      if (page < from) return;
      lowered[field] = field === 'gfn' ? `0x${(page - by).toString(16)}` : hex(addressOf(page - by, offset));
    });
    return { ...step, ...lowered };
  });
}

/** Each address moved to the beginning of its page, or to a lower one that the trace has already. */
function* lowerAddresses(steps: readonly Step[]): Generator<Step[], void> {
  for (const fields of [IOVA, VADDR]) {
    const pages = new Set<number>();
    eachAddress(steps, fields, (page) => void pages.add(page));
    const sorted = [...pages].sort((a, b) => a - b);
    for (const [at, step] of steps.entries()) {
      for (const field of fields) {
        const value = field === 'gfn' ? null : numberOf(step[field]);
        if (value === null) continue;
        for (const page of sorted) {
          if (addressOf(page) < value) yield withField(steps, at, field, hex(addressOf(page)));
        }
      }
    }
  }
}

/** Calls something for every address of some fields: its page, its place in the page. */
function eachAddress(
  steps: readonly Step[],
  fields: readonly string[],
  visit: (page: number, offset: number, field: string) => void,
): void {
  for (const step of steps) {
    for (const field of fields) {
      const value = numberOf(step[field]);
      if (value === null) continue;
      if (field === 'gfn') visit(Number(value), 0, field);
      else visit(pageOf(value), offsetInPage(value), field);
    }
  }
}

/** A number of a call, as clients write it; null where it is none. */
function numberOf(value: unknown): bigint | null {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === 'string' && /^(0x[0-9a-fA-F]+|[0-9]+)$/.test(value) ? BigInt(value) : null;
}
