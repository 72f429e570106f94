import type { ManualConfig, WebhookConfig } from '../../../schemas/drivers/external.ts';
import type { DriverApi, MdevDriver, NotifyResult } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';

/** What stands where a secret was. It is itself a valid secret, so that a trace with it still replays. */
export const REDACTED = '[redacted]';

/** The driver under test: each of its callbacks suspends the task until the world outside says it returned. */
export class ExternalDriver implements MdevDriver {
  readonly hasDmaUnmap = true;

  constructor(readonly config: WebhookConfig | ManualConfig) {}

  /** What may be shown: everything but the secret. */
  describe(): object {
    const { config } = this;
    if (config.type === 'manual' || config.secret === undefined) return config;
    return { ...config, secret: REDACTED };
  }

  *openDevice(api: DriverApi): KernelStep<Errno | null> {
    if (!this.config.openDevice) return null;
    const { errno } = yield* api.waitOutside('outside', 'open-device');
    return errno ?? null;
  }

  *closeDevice(api: DriverApi): KernelStep<void> {
    if (this.config.closeDevice) yield* api.waitOutside('outside', 'close-device');
  }

  *dmaUnmap(api: DriverApi): KernelStep<NotifyResult | void> {
    return (yield* api.waitOutside('outside', 'dma-unmap')).notify;
  }
}
