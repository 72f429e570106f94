import { literalAddress, type WebhookAllow } from './allow.ts';

/** Where a webhook's URL leads. */
export interface Target {
  /** Why it can never be called, in words; null when it may be (a name is resolved when it is called). */
  readonly refused: string | null;
  readonly origin: string;
  /** With its query. */
  readonly path: string;
  readonly hostname: string;
  /** Its literal address; null for a name. */
  readonly literal: string | null;
  /** Whether its origin is on the list, wherever it leads. */
  readonly trusted: boolean;
}

const NOWHERE = { origin: '', path: '', hostname: '', literal: null, trusted: false };

/** Reads a URL. */
export function targetOf(text: string, allow: WebhookAllow): Target {
  if (!URL.canParse(text)) return { ...NOWHERE, refused: 'is not a URL' };
  const url = new URL(text);
  if (!/^https?:$/.test(url.protocol)) return { ...NOWHERE, refused: 'is not http or https' };
  const { origin, pathname, search, hostname } = url;
  const literal = literalAddress(url);
  const trusted = allow.allowsOrigin(url);
  const refused =
    literal === null || trusted || allow.allowsAddress(literal)
      ? null
      : `leads to ${literal}, which WEBHOOK_ALLOW does not list`;
  return { refused, origin, path: pathname + search, hostname, literal, trusted };
}
