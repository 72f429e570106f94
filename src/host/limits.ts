import { MACHINE_LIMITS, type MachineLimits } from '../machine/limits.ts';

/** What one host may use up, beyond its machine. */
export interface HostLimits extends MachineLimits {
  /** Journal entries kept. */
  readonly journal: number;
  /** Steps of the trace kept. */
  readonly trace: number;
  /** Bytes of journal and trace together. */
  readonly logBytes: number;
}

/** What a host may use up unless configured otherwise. */
export const DEFAULT_LIMITS: HostLimits = {
  ...MACHINE_LIMITS,
  journal: 10_000,
  trace: 20_000,
  logBytes: 64 * 1024 * 1024,
};
