import type { Generation } from '../kernel/generations/index.ts';
import { Host, type HostLimits } from './host.ts';
import type { HostLogger } from './kernel-log.ts';
import { DEFAULT_LIMITS } from './limits.ts';

/** Logs nothing: for a host nobody looks at. */
const SILENT: HostLogger = { debug() {}, info() {}, warn() {}, error() {}, fatal() {} };

/** A fresh host that shares nothing with any other, logs nothing, calls nobody and never panics. */
export function scratchHost(gen: Generation, limits: HostLimits = DEFAULT_LIMITS): Host {
  return new Host({
    gen,
    limits,
    policy: { panicOnWarn: false, panicOnOops: false },
    log: SILENT,
    webhooks: null,
    delays: false,
    onPanic() {},
  });
}
