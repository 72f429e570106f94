import type { DriverApi } from '../../kernel/driver.ts';
import type { GuestId } from '../../kernel/guest.ts';
import type { KernelStep } from '../../kernel/task.ts';
import type { ModelHost } from '../model.ts';
import type { Vgpu } from './vgpu.ts';

/** The GPU that all vGPUs of a host are of (struct intel_gvt). */
export class Gvt implements ModelHost {
  /** The vGPUs that have a guest. */
  readonly attached = new Set<Vgpu>();

  /** Whether one of them has this guest. */
  has(guest: GuestId): boolean {
    return [...this.attached].some((vgpu) => vgpu.guest === guest);
  }

  /** The release of a vGPU whose guest has gone, where it is late. */
  *idle({ forDevice }: Pick<DriverApi, 'forDevice'>): KernelStep<void> {
    for (const vgpu of [...this.attached]) yield* vgpu.runWork(forDevice(vgpu.id));
  }
}
