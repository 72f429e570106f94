import type { Generation } from './generation.ts';
import { LINUX_5_10 } from './linux-5.10.ts';
import { LINUX_6_1 } from './linux-6.1.ts';
import { LINUX_6_12 } from './linux-6.12.ts';
import { LINUX_7_2 } from './linux-7.2.ts';

export type { Generation } from './generation.ts';
export { LINUX_5_10, LINUX_6_1, LINUX_6_12, LINUX_7_2 };

/** The generations, oldest first. */
export const GENERATIONS: readonly Generation[] = [LINUX_5_10, LINUX_6_1, LINUX_6_12, LINUX_7_2];

/** The versions a host can have. */
export const KERNEL_VERSIONS: readonly string[] = GENERATIONS.map((gen) => gen.version);

/** The generation of a version, or undefined. */
export function generationOf(version: string): Generation | undefined {
  return GENERATIONS.find((gen) => gen.version === version);
}
