import type { Generation } from './generation.ts';
import { LINUX_5_10 } from './linux-5.10.ts';
import { LINUX_6_1 } from './linux-6.1.ts';
import { LINUX_6_12 } from './linux-6.12.ts';
import { LINUX_6_12_IOMMUFD } from './linux-6.12-iommufd.ts';
import { LINUX_7_2 } from './linux-7.2.ts';

export type { Generation } from './generation.ts';
export { LINUX_5_10, LINUX_6_1, LINUX_6_12, LINUX_6_12_IOMMUFD, LINUX_7_2 };

/** The generations, oldest first; then those whose containers iommufd provides. */
export const GENERATIONS: readonly Generation[] = [
  LINUX_5_10,
  LINUX_6_1,
  LINUX_6_12,
  LINUX_7_2,
  LINUX_6_12_IOMMUFD,
];

/** The versions a host can have. */
export const KERNEL_VERSIONS: readonly string[] = GENERATIONS.map((gen) => gen.version);

/** The generation of a version, or undefined. */
export function generationOf(version: string): Generation | undefined {
  return GENERATIONS.find((gen) => gen.version === version);
}

/** How drivers hear of an unmap: through a channel of type1, or by the list of an IOAS's accesses. */
export function channelOf({
  containerOf,
  type1,
}: Generation): 'device-list' | 'notifier-chain' | 'access-list' {
  return containerOf === 'iommufd' ? 'access-list' : type1.channel;
}
