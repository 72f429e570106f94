import { median, number, quantile } from './figures.ts';

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

/** Figures beside their limits, of which the middle ones are shown. */
export function row(
  what: string,
  unit: string,
  figures: readonly number[],
  limits: readonly number[],
  goal: { readonly atLeast: number } | { readonly atMost: number },
  digits = 0,
): Row {
  const shown = (values: readonly number[]) => `${number(median(values), digits)} ${unit}`;
  return {
    what,
    figure: shown(figures),
    limit: shown(limits),
    ratios: figures.map((figure, i) => figure / limits[i]!),
    goal: 'atMost' in goal ? goal.atMost : goal.atLeast,
    below: 'atMost' in goal,
  };
}

/** Heads of the columns. */
export const HEAD = ['what', 'goal', 'figure', 'limit', 'ratio', 'quartiles', ''];

/** A row as cells. */
export function cells({ what, figure, limit, ratios, goal, below }: Row): string[] {
  const ratio = median(ratios);
  const met = below ? ratio <= goal : ratio >= goal;
  const spread = `${number(quantile(ratios, 0.25), 2)} to ${number(quantile(ratios, 0.75), 2)}`;
  return [
    what,
    `${below ? '≤' : '≥'} ${goal}`,
    figure,
    limit,
    number(ratio, 2),
    spread,
    met ? 'met' : 'missed',
  ];
}
