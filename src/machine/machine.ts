import type { Kernel, KernelLimits } from '../kernel/kernel.ts';
import type { Container, Device } from '../kernel/objects.ts';
import type { Process } from '../kernel/process.ts';
import { Faults } from './faults.ts';
import { Refused } from './refused.ts';

/** What one host may hold. */
export interface MachineLimits extends KernelLimits {
  readonly processes: number;
  readonly containers: number;
  readonly devices: number;
  /** Memory regions of one process. */
  readonly regions: number;
  /** Rules of fault injection. */
  readonly faults: number;
  /** The largest bitmap one answer carries, bytes. */
  readonly bitmapBytes: number;
}

/** Parameters of the host that are not the kernel's module parameters. */
export interface PanicPolicy {
  panicOnWarn: boolean;
  panicOnOops: boolean;
}

/** A kernel with what clients see around it: ids, resource limits, host parameters. Calls act on it. */
export class Machine {
  readonly faults: Faults;
  /** Numbers of the next ids of containers, devices, groups and processes. */
  readonly counters = { c: 0, d: 0, g: 0, p: 1 };

  /**
   * @param refusesWebhook why a webhook's URL can never be called, in words; null when it may be
   */
  constructor(
    readonly kernel: Kernel,
    readonly limits: MachineLimits,
    readonly policy: PanicPolicy,
    readonly refusesWebhook: (url: string) => string | null,
    /** Whether webhooks are called; where not, complete-callback stands in for them. */
    readonly deliversWebhooks: boolean,
  ) {
    this.faults = new Faults(limits.faults);
    kernel.dropsCallback = (device) => this.faults.drops('dma-unmap', device.id, device.group.container?.id);
  }

  process(id: string): Process {
    const process = this.kernel.processes.get(id);
    if (!process) throw Refused.notFound('process', id);
    return process;
  }

  /** A container whose object exists, be its file open or closed. */
  container(id: string): Container {
    const container = this.kernel.containers.get(id);
    if (!container) throw Refused.notFound('container', id);
    return container;
  }

  device(id: string): Device {
    const device = this.kernel.devices.get(id);
    if (!device) throw Refused.notFound('device', id);
    return device;
  }

  /** The chosen id, or the next one of the counter that is free. */
  newId(letter: 'c' | 'd' | 'p', chosen: string | undefined, taken: { has(id: string): boolean }): string {
    if (chosen !== undefined) return chosen;
    let id: string;
    do id = `${letter}${this.counters[letter]++}`;
    while (taken.has(id));
    return id;
  }

  newGroupId(): string {
    return `g${this.counters.g++}`;
  }

  /** Forgets a container that is closed and that no group holds. */
  collect(container: Container): void {
    if (!container.open && container.groups.length === 0) this.kernel.containers.delete(container.id);
  }
}
