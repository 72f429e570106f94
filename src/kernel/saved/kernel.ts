import type { SnapshotState } from '../../../schemas/snapshot.ts';
import type { Generation } from '../generations/generation.ts';
import type { Kernel } from '../kernel.ts';
import { ONCE_CALLERS, SPLATS, type Splat, type SplatId } from '../splats.ts';
import { checkDifferent, wrong } from './checks.ts';

type Parameters = SnapshotState['parameters'];

/** The parameters of its modules. */
export function saveParameters(kernel: Kernel): Omit<Parameters, 'panicOnOops' | 'panicOnWarn'> {
  return {
    ...(kernel.adviseNoCallback ? { adviseNoCallback: true } : {}),
    ...(kernel.allowUnsafeInterrupts ? { allowUnsafeInterrupts: true } : {}),
    ...(kernel.enableUnsafeNoiommuMode ? { enableUnsafeNoiommuMode: true } : {}),
    dmaEntryLimit: kernel.dmaEntryLimit,
    warnOnPinnedUnmap: kernel.warnOnPinnedUnmap,
  };
}

/** The same, of a fresh kernel. */
export function restoreParameters(kernel: Kernel, parameters: Parameters): void {
  kernel.adviseNoCallback = parameters.adviseNoCallback ?? false;
  kernel.allowUnsafeInterrupts = parameters.allowUnsafeInterrupts ?? false;
  kernel.enableUnsafeNoiommuMode = parameters.enableUnsafeNoiommuMode ?? false;
  kernel.dmaEntryLimit = parameters.dmaEntryLimit;
  kernel.warnOnPinnedUnmap = parameters.warnOnPinnedUnmap;
}

/**
 * Taint, and which once-only warnings were printed.
 *
 * @param driverSplats those of the drivers there are
 */
export function restoreTaint(
  kernel: Kernel,
  state: SnapshotState,
  driverSplats: readonly Splat[],
  where: string,
): void {
  checkDifferent(state.taint, `${where}/taint`);
  for (const flag of state.taint) kernel.taint.add(flag);
  const flags = onceFlags(kernel.gen, driverSplats);
  checkDifferent(state.warnedOnce, `${where}/warnedOnce`);
  for (const id of state.warnedOnce) {
    if (!flags.has(id)) throw wrong(`${where}/warnedOnce`, `has "${id}", which is no once-only warning`);
    kernel.fired.add(id);
  }
}

/** The flags of once-only warnings that a kernel and the drivers on it have. */
function onceFlags({ splats }: Generation, driverSplats: readonly Splat[]): Set<string> {
  const flags = new Set(driverSplats.flatMap(({ id, kind }) => (kind === 'WARN_ON_ONCE' ? [id] : [])));
  for (const id of Object.keys(SPLATS) as SplatId[]) {
    if (SPLATS[id].kind !== 'WARN_ON_ONCE' || !splats[id]) continue;
    flags.add(id);
    for (const caller of ONCE_CALLERS[id] ?? []) flags.add(`${id}-${caller}`);
  }
  return flags;
}
