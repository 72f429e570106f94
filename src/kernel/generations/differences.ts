import type { SplatId, SplatSites } from '../splats.ts';
import type { KernelDifference, Trait } from './difference.ts';
import { DRIVER_DIFFERENCES } from './driver-differences.ts';
import { ENGINE_DIFFERENCES, ENGINE_TRAITS } from './engine-differences.ts';
import type { Generation } from './generation.ts';
import { ALL_GENERATIONS, GENERATIONS } from './index.ts';
import { PROCESS_DIFFERENCES } from './process-differences.ts';
import { TYPE1_DIFFERENCES } from './type1-differences.ts';

export type { KernelDifference } from './difference.ts';

/** Every difference: between kernels with type1, then between type1 and iommufd. */
export const DIFFERENCES: readonly KernelDifference[] = [
  ...TYPE1_DIFFERENCES,
  ...PROCESS_DIFFERENCES,
  ...DRIVER_DIFFERENCES,
  ...Object.entries(ENGINE_DIFFERENCES).map(([id, difference]) => ({
    id,
    ...difference,
    traits: ENGINE_TRAITS,
  })),
];

/** Traits that say nothing where the engines differ. */
const OF_THE_ENGINE = /^type1\.|^core\.pin(PagesMax|sByPage)$|^core\.registersBeforeOpen$/;

/** The differences between two generations. What type1 does shows only where it provides the containers of both. */
export function differencesBetween(from: Generation, to: Generation): KernelDifference[] {
  const between = versionsBetween(from, to);
  const differs = (trait: Trait) => traitOf(from, trait) !== traitOf(to, trait);
  const sameEngine = !differs('containerOf');
  return DIFFERENCES.filter(({ traits, since }) => {
    if (traits === ENGINE_TRAITS) return !sameEngine;
    if (since !== undefined && ![since].flat().some((version) => between.includes(version))) return false;
    const shown = sameEngine ? traits : traits.filter((trait) => !OF_THE_ENGINE.test(trait));
    return shown.some(differs);
  });
}

/** The kernels after the older of two generations, up to the newer. */
function versionsBetween(from: Generation, to: Generation): string[] {
  const [a, b] = [from, to].map(({ version }) => ALL_GENERATIONS.findIndex((gen) => gen.version === version));
  return ALL_GENERATIONS.slice(Math.min(a!, b!) + 1, Math.max(a!, b!) + 1).map(({ version }) => version);
}

/** A generation with one difference taken from another. */
export function withDifference(
  base: Generation,
  other: Generation,
  difference: KernelDifference,
): Generation {
  const mixed = { ...base };
  for (const trait of difference.traits) {
    const [group, field] = trait.split('.') as [keyof Generation, string | undefined];
    const value = traitOf(other, trait);
    Object.assign(mixed, { [group]: field ? { ...(mixed[group] as object), [field]: value } : value });
  }
  // A kernel with a trait of another may come to print what it does not have itself.
  const rest = mixed.splats === base.splats ? other.splats : base.splats;
  return { ...mixed, splats: withSites(mixed.splats, rest) };
}

function traitOf(gen: Generation, trait: Trait): unknown {
  const [group, field] = trait.split('.') as [keyof Generation, string | undefined];
  return field ? (gen[group] as Readonly<Record<string, unknown>>)[field] : gen[group];
}

/** The sites of one kernel, and where it has none, those of another. */
function withSites(sites: SplatSites, others: SplatSites): SplatSites {
  const ids = Object.keys(sites) as SplatId[];
  return Object.fromEntries(ids.map((id) => [id, sites[id] ?? others[id]])) as SplatSites;
}

/** Which of some generations one is held against: its own source with type1 where that is there, or the one before. */
export function neighbourOf(gen: Generation, generations: readonly Generation[]): Generation | undefined {
  const at = generations.indexOf(gen);
  const classic = generations.find(({ version }) => version === gen.classic);
  return at > 0 ? (classic ?? generations[at - 1]) : undefined;
}

/**
 * The generation that one is told apart from: of those recorded the recorded one before it, of others the one before;
 * none for the oldest that was recorded.
 */
export function heldAgainst(gen: Generation): Generation | undefined {
  if (gen.recorded) return neighbourOf(gen, GENERATIONS);
  return neighbourOf(gen, ALL_GENERATIONS) ?? GENERATIONS[0];
}

/** The differences that set a generation apart from the one it is held against; none where that is none. */
export function newIn(gen: Generation): KernelDifference[] {
  const before = heldAgainst(gen);
  return before ? differencesBetween(before, gen) : [];
}
