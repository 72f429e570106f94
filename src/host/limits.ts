import type { HostLimits } from './host.ts';

/** What a host may use up unless configured otherwise. */
export const DEFAULT_LIMITS: HostLimits = {
  processes: 256,
  containers: 1024,
  devices: 4096,
  regions: 4096,
  residentPages: 65536,
  dirtyBitmapBytes: 512 * 1024 * 1024,
  faults: 256,
  bitmapBytes: 8 * 1024 * 1024,
  journal: 10_000,
  trace: 20_000,
  pendingCalls: 1024,
};
