import type { KernelStep } from '../../src/kernel/task.ts';
import { Task } from '../../src/kernel/task.ts';
import type { Type1 } from '../../src/kernel/type1/type1.ts';
import type { Device } from '../../src/kernel/vfio/device.ts';
import { CoreRig } from './core-rig.ts';

/**
 * A type1v2 container whose instance is called without the machine around it: a few microseconds a call, and every
 * place where a call stops is seen.
 */
export class Type1Rig extends CoreRig {
  readonly iommu: Type1 = this.host.machine.container('c0').iommu as Type1;

  /** The device of that id. */
  device(id: string): Device {
    return this.host.kernel.devices.get(id)!;
  }

  /** A call that nothing has been done of yet. */
  task(call = 'test'): Task {
    return new Task(this.host.kernel, call, undefined);
  }

  /** Mappings of so many pages each, end to end from page `first` on. */
  mapMany(count: number, pages = 1, first = 0): void {
    const task = this.task();
    for (let i = 0; i < count; i++) {
      const iova = BigInt(first + i * pages) * 4096n;
      const errno = through(
        this.iommu.mapDma(task, { iova, vaddr: iova, size: BigInt(pages) * 4096n, flags: 3 }),
      ).value;
      if (errno) throw new Error(`map ${i}: ${errno}, ${task.why}`);
    }
  }

  /** Pins pages from `first` on for a device, as many as there may be; all at once. */
  pinMany(count: number, first = 0, id = 'd0'): void {
    const pins = this.iommu.pinPages(this.task(), this.device(id), BigInt(first) * 4096n, count, 3);
    const { value } = through(pins);
    if (typeof value === 'string') throw new Error(`pin: ${value}`);
  }
}

/** Goes through to the end: how often it stopped on its way, and what it came to. Nothing else may be waited for. */
export function through<T>(work: KernelStep<T>): { stops: number; value: T } {
  for (let stops = 0; ; stops++) {
    const { done, value } = work.next();
    if (done) return { stops, value };
    if (!('resched' in value)) throw new Error('it waits for something');
  }
}
