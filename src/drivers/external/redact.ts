import type { WebhookConfig } from '../../../schemas/drivers/external.ts';

/** What stands where a secret was. It is itself a valid secret, so that a trace with it still replays. */
export const REDACTED = '[redacted]';

/** Scheme, user and password, host and path, query, fragment; slashes as lenient as the parser of URLs is. */
const URL_PARTS = /^([a-z][a-z0-9+.-]*:\/\/[/\\]*)([^/\\?#]*@)?([^?#]*)(\?[^#]*)?(#.*)?$/is;

/** A URL as it may be shown: without user, password, query and fragment, where tokens are. Another text is as it is. */
export function shownUrl(url: string): string {
  return url.replace(URL_PARTS, (_all, scheme: string, user = '', rest = '', query = '', fragment = '') =>
    [
      scheme,
      user === '' ? '' : `${REDACTED}@`,
      rest,
      query.length > 1 ? `?${REDACTED}` : query,
      fragment.length > 1 ? `#${REDACTED}` : fragment,
    ].join(''),
  );
}

/** Whether a webhook's configuration has something that is not shown. */
export function hasSecrets({ url, secret }: WebhookConfig): boolean {
  return secret !== undefined || shownUrl(url) !== url;
}

/** A webhook's configuration as it may be shown. */
export function shownWebhook(config: WebhookConfig): WebhookConfig {
  if (!hasSecrets(config)) return config;
  return {
    ...config,
    url: shownUrl(config.url),
    ...(config.secret === undefined ? {} : { secret: REDACTED }),
  };
}
