import type { Random } from '../simulation/random.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents that are wrong have no type
type Json = any;

/** Numbers in place of one. */
const numbers = (value: number) => [0, 1, 3, -1, value + 1, value - 1, value * 2, 4096, 65_535, 2 ** 31 - 1];

/** Addresses and sizes in place of one. */
function addresses(value: bigint): string[] {
  const others = [0n, value + 1n, value + 4096n, value * 2n, 2n ** 52n, 2n ** 63n, 2n ** 64n - 4096n];
  return others.map((other) => `0x${other.toString(16)}`);
}

const NAMES = ['', 'd0', 'd1', 'c0', 'c1', 'g0', 'g1', 'p0', 'p1', 'held', 'none'];
const NOTHINGS = [null, 0, true, 'd0', [], {}];

/** Every place in a value, as the keys that lead to it. */
function* places(value: Json, path: readonly string[]): Generator<readonly string[]> {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    yield [...path, key];
    yield* places(value[key], [...path, key]);
  }
}

const at = (document: Json, path: readonly string[]): Json =>
  path.reduce((value, key) => value[key], document);

/** A field's places in lists do not matter: a mapping's prot is one of all mappings' prots. */
const kindOf = (path: readonly string[]) => path.map((key) => (/^\d+$/.test(key) ? '#' : key)).join('/');

/** What stands in place of a value: its like somewhere else, or one that is a little or very different. */
function other(value: Json, likes: readonly Json[], random: Random): Json {
  if (random.chance(0.2)) return structuredClone(random.pick(likes));
  if (Array.isArray(value)) {
    const twice = value.length > 0 ? [...value, structuredClone(random.pick(value))] : [];
    return random.pick([[], twice, [...value].reverse(), value.slice(0, -1)]);
  }
  if (typeof value === 'number') return random.pick(numbers(value));
  if (typeof value === 'boolean') return !value;
  if (typeof value !== 'string') return random.pick(NOTHINGS);
  return random.pick(/^0x[0-9a-f]+$/.test(value) ? addresses(BigInt(value)) : NAMES);
}

/**
 * Makes one thing of a snapshot's state another than it was; each kind of field is as likely as each other.
 *
 * @returns where, and what it is now
 */
export function spoil(document: Json, random: Random): string {
  const kinds = new Map<string, (readonly string[])[]>();
  for (const path of places(document.state, ['state'])) {
    const kind = kindOf(path);
    kinds.set(kind, [...(kinds.get(kind) ?? []), path]);
  }
  const paths = random.pick([...kinds.values()]);
  const path = random.pick(paths);
  const [holder, key] = [at(document, path.slice(0, -1)), path.at(-1)!];
  if (random.chance(0.15)) {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
    return `${path.join('/')} is gone`;
  }
  const likes = paths.map((one) => at(document, one));
  holder[key] = other(holder[key], likes, random);
  return `${path.join('/')} is ${JSON.stringify(holder[key])?.slice(0, 200)}`;
}
