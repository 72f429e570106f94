/** A saved state that cannot be restored: it says which value breaks which rule. */
export class WrongState extends Error {
  constructor(
    text: string,
    /** It could be, but is beyond a limit of the machine. */
    readonly tooLarge = false,
  ) {
    super(text);
  }
}

/** A saved state that cannot be. `where` is a path like `body/state/taint`. */
export function wrong(where: string, rule: string): WrongState {
  return new WrongState(`${where} ${rule}`);
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
