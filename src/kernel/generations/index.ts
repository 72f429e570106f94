import type { Generation } from './generation.ts';
import { LINUX_5_4 } from './linux-5.4.ts';
import { LINUX_5_10 } from './linux-5.10.ts';
import { LINUX_5_15 } from './linux-5.15.ts';
import { LINUX_6_0 } from './linux-6.0.ts';
import { LINUX_6_1 } from './linux-6.1.ts';
import { LINUX_6_6 } from './linux-6.6.ts';
import { LINUX_6_8 } from './linux-6.8.ts';
import { LINUX_6_12 } from './linux-6.12.ts';
import { LINUX_6_12_IOMMUFD } from './linux-6.12-iommufd.ts';
import { LINUX_6_18 } from './linux-6.18.ts';
import { LINUX_7_2 } from './linux-7.2.ts';

export type { Generation } from './generation.ts';
export { LINUX_5_10, LINUX_6_1, LINUX_6_12, LINUX_6_12_IOMMUFD, LINUX_7_2 };

/** Every generation, oldest first; then those whose containers iommufd provides. */
export const ALL_GENERATIONS: readonly Generation[] = [
  LINUX_5_4,
  LINUX_5_10,
  LINUX_5_15,
  LINUX_6_0,
  LINUX_6_1,
  LINUX_6_6,
  LINUX_6_8,
  LINUX_6_12,
  LINUX_6_18,
  LINUX_7_2,
  LINUX_6_12_IOMMUFD,
];

/** Those that were recorded. */
export const GENERATIONS: readonly Generation[] = ALL_GENERATIONS.filter(({ recorded }) => recorded);

/** The versions a host can have. */
export const KERNEL_VERSIONS: readonly string[] = ALL_GENERATIONS.map(({ version }) => version);

/** The version of who names none. */
export const DEFAULT_VERSION = LINUX_6_1.version;

/** The versions that were recorded. */
export const RECORDED_VERSIONS: readonly string[] = GENERATIONS.map(({ version }) => version);

/** The versions that nobody recorded. */
export const UNRECORDED_VERSIONS: readonly string[] = KERNEL_VERSIONS.filter(
  (version) => !RECORDED_VERSIONS.includes(version),
);

/** The versions a host can have, in words. */
export const VERSIONS_IN_WORDS = `${RECORDED_VERSIONS.join(', ')}; not recorded: ${UNRECORDED_VERSIONS.join(', ')}`;

/** The generation of a version, or undefined. */
export function generationOf(version: string): Generation | undefined {
  return ALL_GENERATIONS.find((gen) => gen.version === version);
}

/** How drivers are notified of an unmap: through a channel of type1, or by the list of an IOAS's accesses. */
export function channelOf({
  containerOf,
  type1,
}: Generation): 'device-list' | 'notifier-chain' | 'access-list' {
  return containerOf === 'iommufd' ? 'access-list' : type1.channel;
}
