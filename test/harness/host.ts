import { Host } from '../../src/host/host.ts';
import type { HostLogger } from '../../src/host/kernel-log.ts';
import { DEFAULT_LIMITS } from '../../src/host/limits.ts';
import { type Generation, generationOf } from '../../src/kernel/generations/index.ts';

/** A logger that keeps nothing. */
export const SILENT: HostLogger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
};

/** A host with default limits, of Linux 6.1 unless asked for another. */
export function newHost(log: HostLogger = SILENT, version = '6.1'): Host {
  return hostOf(generationOf(version)!, log);
}

/** A host of a generation. */
export function hostOf(gen: Generation, log: HostLogger = SILENT): Host {
  return new Host({
    gen,
    limits: DEFAULT_LIMITS,
    policy: { panicOnWarn: false, panicOnOops: false },
    log,
    webhooks: null,
    delays: false,
    onPanic: (reason) => {
      throw new Error(`panic: ${reason}`);
    },
  });
}
