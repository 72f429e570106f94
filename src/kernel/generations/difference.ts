import type { ConsoleTraits, CoreTraits, DriverKernels, Type1Traits } from './generation.ts';

/** One value of a generation: of one of its groups (`type1.channel`), or by itself. */
export type Trait =
  | `core.${keyof CoreTraits}`
  | `type1.${keyof Type1Traits}`
  | `console.${keyof ConsoleTraits}`
  | `drivers.${keyof DriverKernels}`
  | 'containerOf'
  | 'splats';

/** One difference between kernel generations, as a user should know it. */
export interface KernelDifference {
  /** Stable; names the section of docs/kernels.md. */
  readonly id: string;
  readonly title: string;
  /** Why a step is answered differently, in a sentence or two. */
  readonly text: string;
  /** The traits of a generation that make it. */
  readonly traits: readonly Trait[];
  /**
   * The kernel that it came with, or kernels that changed it, where the traits stand for more than one difference: a driver's do, as it
   * changed with several kernels.
   */
  readonly since?: string | readonly string[];
  /** Where it shows, in words, if no answer of a call does. */
  readonly shownIn?: string;
  /** Recordings that show it. */
  readonly scenarios: readonly string[];
}
