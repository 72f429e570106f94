import { Host } from '../../src/host/host.ts';
import type { HostLogger } from '../../src/host/kernel-log.ts';
import { DEFAULT_LIMITS, type HostLimits } from '../../src/host/limits.ts';
import { type Generation, generationOf } from '../../src/kernel/generations/index.ts';

/** A logger that keeps nothing. */
const SILENT: HostLogger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
};

/** A host with default limits, of Linux 6.1 unless asked for another. */
export function newHost(version = '6.1'): Host {
  return hostOf(generationOf(version)!);
}

/** A host of a generation. */
export function hostOf(gen: Generation, limits: HostLimits = DEFAULT_LIMITS): Host {
  return new Host({
    gen,
    limits,
    policy: { panicOnWarn: false, panicOnOops: false },
    log: SILENT,
    webhooks: null,
    delays: false,
    onPanic: (reason) => {
      throw new Error(`panic: ${reason}`);
    },
  });
}
