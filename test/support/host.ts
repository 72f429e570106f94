import { Host } from '../../src/host/host.ts';
import type { HostLogger } from '../../src/host/kernel-log.ts';
import { DEFAULT_LIMITS } from '../../src/host/limits.ts';
import { LINUX_6_1 } from '../../src/kernel/generation.ts';

/** A logger that keeps nothing. */
export const SILENT: HostLogger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
};

/** A host of Linux 6.1 with default limits. */
export function newHost(log: HostLogger = SILENT): Host {
  return new Host({
    gen: LINUX_6_1,
    limits: DEFAULT_LIMITS,
    policy: { panicOnWarn: false, panicOnOops: false },
    log,
    webhooks: null,
    onPanic: (reason) => {
      throw new Error(`panic: ${reason}`);
    },
  });
}
