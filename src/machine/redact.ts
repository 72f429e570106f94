import type { CallObject } from '../../schemas/calls.ts';
import type { WebhookConfig } from '../../schemas/drivers/external.ts';
import { hasSecrets, shownWebhook } from '../drivers/external/redact.ts';

/** A call as journal, traces and logs may show it: without a webhook's secrets. */
export function redactCall(call: CallObject): CallObject {
  const driver = call.driver as WebhookConfig | { type?: string } | undefined;
  if (driver === undefined || !isWebhook(driver) || !hasSecrets(driver)) return call;
  return { ...call, driver: shownWebhook(driver) };
}

function isWebhook(driver: WebhookConfig | { type?: string }): driver is WebhookConfig {
  return driver.type === 'webhook';
}
