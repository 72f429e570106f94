/** An item of a list of effects. */
interface Item {
  readonly seq?: number;
  readonly by?: string;
  readonly apqn?: number;
}

/**
 * Effects in a form that can be compared. What works of several AP queues did side by side is in no order that means
 * anything (the recordings say so): it is sorted, each queue's instructions staying in theirs, and where it lies
 * among what the calling task did is not told. All else is in its order, over both lists.
 */
export function comparableEffects(effects: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { vfio, instructions } = effects as { vfio?: readonly Item[]; instructions?: readonly Item[] };
  if (!instructions) return effects;
  const all = [...(vfio ?? []), ...instructions].sort((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
  const places = new Map(all.filter(({ by }) => !by).map((item, place) => [item, place]));
  const comparable = (list: readonly Item[]) => {
    const own = list.filter(({ by }) => !by).map((item) => ({ ...item, seq: places.get(item) }));
    const works = list.filter(({ by }) => by).map(({ seq: _seq, ...item }) => item);
    return [...own, ...works.sort((a, b) => order(a) - order(b) || compareText(a, b))];
  };
  return {
    ...effects,
    instructions: comparable(instructions),
    ...(vfio ? { vfio: comparable(vfio) } : {}),
  };
}

/** Instructions by queue, and within it as they came; then calls into VFIO. */
function order({ apqn }: Item): number {
  return apqn ?? Number.MAX_SAFE_INTEGER;
}

function compareText(a: Item, b: Item): number {
  if (a.apqn !== undefined) return 0;
  const [x, y] = [JSON.stringify(a), JSON.stringify(b)];
  if (x === y) return 0;
  return x < y ? -1 : 1;
}
