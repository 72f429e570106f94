import type { DriverApi, MdevDriver, NotifyResult } from '../kernel/driver.ts';
import type { Errno } from '../kernel/errno.ts';
import type { KernelStep } from '../kernel/task.ts';

/** What stands where a secret was. It is itself a valid secret, so that a trace with it still replays. */
export const REDACTED = '[redacted]';

/** A driver that lives outside, as the client describes it. */
export interface WebhookConfig {
  type: 'webhook';
  /** Where callbacks are POSTed. */
  url: string;
  /** How long a callback may take, milliseconds. */
  timeoutMs?: number;
  /** Key of the HMAC over each body. */
  secret?: string;
  /** Also called when the device is first opened and last closed. */
  openDevice?: boolean;
  closeDevice?: boolean;
  /** Its dma_unmap is a BUG_ON(1). */
  bugOnInvalidation?: boolean;
}

/** The driver under test: each of its callbacks suspends the task until the host has called it over HTTP. */
export class WebhookDriver implements MdevDriver {
  readonly hasDmaUnmap = true;

  constructor(readonly config: WebhookConfig) {}

  /** What may be shown: everything but the secret. */
  describe(): object {
    const { secret, ...shown } = this.config;
    return secret === undefined ? shown : { ...shown, secret: REDACTED };
  }

  *openDevice(api: DriverApi): KernelStep<Errno | null> {
    if (!this.config.openDevice) return null;
    const { errno } = yield* api.waitOutside('webhook', 'open-device');
    return errno ?? null;
  }

  *closeDevice(api: DriverApi): KernelStep<void> {
    if (this.config.closeDevice) yield* api.waitOutside('webhook', 'close-device');
  }

  *dmaUnmap(api: DriverApi): KernelStep<NotifyResult | void> {
    return (yield* api.waitOutside('webhook', 'dma-unmap')).notify;
  }
}
