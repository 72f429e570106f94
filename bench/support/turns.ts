/**
 * Measures two in turns, in changing order, so that both meet the same machine.
 *
 * @param warmUp rounds that do not count
 */
export async function inTurns(
  rounds: number,
  warmUp: number,
  one: () => number | Promise<number>,
  other: () => number | Promise<number>,
): Promise<{ one: number[]; other: number[] }> {
  const figures = { one: [] as number[], other: [] as number[] };
  for (let round = -warmUp; round < rounds; round++) {
    const order = round % 2 === 0 ? (['one', 'other'] as const) : (['other', 'one'] as const);
    for (const which of order) {
      const figure = await (which === 'one' ? one() : other());
      if (round >= 0) figures[which].push(figure);
    }
  }
  return figures;
}
