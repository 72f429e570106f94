import type { ManualConfig, WebhookConfig } from '../../../schemas/drivers/external.ts';
import type { DriverApi, MdevDriver, NotifyResult } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { shownWebhook } from './redact.ts';

/** The driver under test: each of its callbacks suspends the task until the world outside says it returned. */
export class ExternalDriver implements MdevDriver {
  readonly hasDmaUnmap = true;

  constructor(readonly config: WebhookConfig | ManualConfig) {}

  /** What may be shown: everything but the secrets. */
  describe(): object {
    const { config } = this;
    return config.type === 'manual' ? config : shownWebhook(config);
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
