import type { KernelLimits } from '../kernel/kernel.ts';

/** What one machine may hold. */
export interface MachineLimits extends KernelLimits {
  readonly processes: number;
  readonly containers: number;
  readonly devices: number;
  /** Rules of fault injection. */
  readonly faults: number;
  /** The largest bitmap one answer carries, bytes. */
  readonly bitmapBytes: number;
  /** Calls that may be under way at once, waiting for a lock or a callback. */
  readonly pendingCalls: number;
}

/** What a machine may hold unless configured otherwise. */
export const MACHINE_LIMITS: MachineLimits = {
  processes: 256,
  containers: 1024,
  devices: 4096,
  regions: 4096,
  files: 16_384,
  residentPages: 65536,
  rigPages: 131_072,
  dirtyBitmapBytes: 512 * 1024 * 1024,
  objectBytes: 512 * 1024 * 1024,
  pins: 4 * 1024 * 1024,
  faults: 256,
  bitmapBytes: 8 * 1024 * 1024,
  pendingCalls: 1024,
};

/** The same, of one that runs a trace from a file: a program that was recorded may have had so many regions (vm.max_map_count). */
export const TRACE_LIMITS: MachineLimits = { ...MACHINE_LIMITS, regions: 65_530 };
