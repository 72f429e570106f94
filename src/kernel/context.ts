import type { AdvisoryKind } from './advisories.ts';
import type { NotifyResult } from './driver.ts';
import type { Errno } from './errno.ts';
import type { Generation } from './generations/generation.ts';
import type { KernelBugId } from './kernel-bugs.ts';
import type { Device } from './objects.ts';
import type { SplatId } from './splats.ts';
import type { KernelStep, Lock, SplatDetails, Task } from './task.ts';
import type { IommuLimits } from './type1/iommu.ts';

/** What the kernel's functions need of the kernel around them. */
export interface KernelContext {
  readonly gen: Generation;
  readonly limits: IommuLimits;
  /** Module parameter dma_entry_limit. */
  readonly dmaEntryLimit: number;
  /** Whether a round that leaves pins in its mapping warns (P2). */
  readonly warnOnPinnedUnmap: boolean;
  /** mutex_unlock. */
  release(task: Task, lock: Lock): void;
  /** WARN_ON, or WARN_ON_ONCE where the catalogue says so (then only the first one prints). */
  warn(task: Task, id: SplatId, details: SplatDetails): void;
  /** BUG_ON: kills the task, which keeps its locks. */
  bug(task: Task, id: SplatId, details: SplatDetails): never;
  /** pr_warn of a limit in bytes. */
  prWarn(task: Task, id: 'L1' | 'L2', limitBytes: bigint): void;
  /** Notes a finding the kernel itself does not make. */
  advise(task: Task, kind: AdvisoryKind, devices: readonly string[], iova: bigint, text: string): void;
  /** Notes that the answer shows a bug of this kernel generation. */
  adviseBug(task: Task, id: KernelBugId, iova: bigint, devices?: readonly string[]): void;
  /** Runs the device's dma_unmap within the task; or the BUG_ON (P1) that its driver asked for. */
  dmaUnmap(task: Task, device: Device, iova: bigint, length: bigint): KernelStep<NotifyResult | void>;
  /** Id of a device by its number, also after it was removed. */
  deviceName(number: number): string;
  /** open_device and close_device of the device's driver, within the task. */
  openDevice(task: Task, device: Device): KernelStep<Errno | null>;
  closeDevice(task: Task, device: Device): KernelStep<void>;
}
