import { Refused } from '../machine/refused.ts';

/** A snapshot that cannot be: which value breaks which rule. `where` is a path like `body/state/taint`. */
export function wrong(where: string, rule: string): Refused {
  return Refused.badRequest(`${where} ${rule}`);
}

/** Checks that ids or numbers are all different; where one is named twice. */
export function checkDifferent(values: readonly (string | number)[], where: string): void {
  const seen = new Set<string | number>();
  for (const value of values) {
    if (seen.has(value)) throw wrong(where, `has ${JSON.stringify(value)} twice`);
    seen.add(value);
  }
}

/** Checks that each value is above the one before it. */
export function checkAscending(values: Iterable<number | bigint>, where: string): void {
  let last: number | bigint | null = null;
  let i = 0;
  for (const value of values) {
    if (last !== null && value <= last) throw wrong(`${where}/${i}`, 'must come after the one before it');
    last = value;
    i++;
  }
}
