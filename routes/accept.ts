/** A media range of an Accept header, with its weight. */
interface Range {
  readonly type: string;
  readonly weight: number;
}

/**
 * Which of the media types a service has an Accept header asks for first; the first one where it asks for none of them,
 * or for any.
 */
export function preferred<T extends string>(
  header: string | undefined,
  types: readonly [T, ...(readonly T[])],
): T {
  const asked = (header ?? '').split(',').map(rangeOf);
  for (const { type } of asked.filter(({ weight }) => weight > 0).sort((a, b) => b.weight - a.weight)) {
    if (type === '*/*') return types[0];
    const found = types.find((one) => one === type || type === `${one.split('/', 1)[0]}/*`);
    if (found !== undefined) return found;
  }
  return types[0];
}

function rangeOf(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const q = parameters.find((parameter) => parameter.startsWith('q='));
  const weight = q === undefined ? 1 : Number(q.slice(2));
  return { type, weight: Number.isFinite(weight) ? weight : 0 };
}
