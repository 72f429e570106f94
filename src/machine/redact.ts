import type { CallObject } from '../../schemas/calls.ts';
import { REDACTED } from '../drivers/external/driver.ts';

/** A call as journal, traces and logs may show it: without a webhook's secret. */
export function redactCall(call: CallObject): CallObject {
  const driver = call.driver as { secret?: string } | undefined;
  return driver?.secret === undefined ? call : { ...call, driver: { ...driver, secret: REDACTED } };
}
