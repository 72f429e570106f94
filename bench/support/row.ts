import { median, number } from './figures.ts';

/** A line of the table: what was measured beside its limit, in turns on the same machine. */
export interface Row {
  readonly what: string;
  readonly figure: string;
  readonly limit: string;
  /** Of figure to limit, a round each. */
  readonly ratios: readonly number[];
  readonly goal: number;
  /** Whether a ratio below the goal is what is wanted. */
  readonly below: boolean;
}

/** A row as cells: what, figure, limit, ratio with its quartiles, goal, verdict. */
export function cells({ what, figure, limit, ratios, goal, below }: Row): string[] {
  const sorted = [...ratios].sort((a, b) => a - b);
  const at = (share: number) => number(sorted[Math.floor((sorted.length - 1) * share)]!, 2);
  const ratio = median(ratios);
  const met = below ? ratio <= goal : ratio >= goal;
  return [
    what,
    figure,
    limit,
    number(ratio, 2),
    `${at(0.25)} to ${at(0.75)}`,
    String(goal),
    met ? 'met' : 'missed',
  ];
}
