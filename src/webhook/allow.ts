import { BlockList, isIP } from 'node:net';

/** Where webhooks may go unless configured otherwise: loopback and the private ranges. */
export const DEFAULT_WEBHOOK_ALLOW = '127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7';

/** The rule of one entry, in words. */
export const WEBHOOK_ALLOW_RULE =
  'a comma-separated list of addresses, ranges (10.0.0.0/8), origins (http://driver:9000) or "*"';

/**
 * Which addresses and origins a webhook may reach. An origin on the list may be anywhere; every other one must
 * resolve to an address in a listed range, which is checked when the connection is made.
 */
export class WebhookAllow {
  private everything = false;
  private readonly origins = new Set<string>();
  private readonly ranges = new BlockList();

  /** @throws Error that names the entry that is none */
  constructor(list: string) {
    for (const entry of list.split(',').map((part) => part.trim())) {
      if (entry === '') continue;
      if (entry === '*') this.everything = true;
      else if (!this.addRange(entry) && !this.addOrigin(entry)) {
        throw new Error(`"${entry}" is not an address, a range, an origin or "*"`);
      }
    }
  }

  /** Whether every connection for this origin is permitted, wherever it leads. */
  allowsOrigin(url: URL): boolean {
    return this.everything || this.origins.has(url.origin);
  }

  /** Whether an address is in a listed range. */
  allowsAddress(address: string): boolean {
    const family = isIP(address);
    if (family === 0) return false;
    const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
    if (mapped) return this.ranges.check(mapped[1]!, 'ipv4');
    return this.ranges.check(address, family === 6 ? 'ipv6' : 'ipv4');
  }

  private addRange(entry: string): boolean {
    const [address, bits, more] = entry.split('/');
    const family = isIP(address!);
    if (family === 0 || more !== undefined) return false;
    const max = family === 6 ? 128 : 32;
    const prefix = bits === undefined ? max : /^\d+$/.test(bits) ? Number(bits) : -1;
    if (prefix < 0 || prefix > max) return false;
    this.ranges.addSubnet(address!, prefix, family === 6 ? 'ipv6' : 'ipv4');
    return true;
  }

  private addOrigin(entry: string): boolean {
    if (!URL.canParse(entry)) return false;
    const url = new URL(entry);
    const bare = url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
    if (!bare || !/^https?:$/.test(url.protocol)) return false;
    this.origins.add(url.origin);
    return true;
  }
}

/** The literal address in a URL's host, without the brackets of IPv6; null for a name. */
export function literalAddress(url: URL): string | null {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return isIP(host) ? host : null;
}
