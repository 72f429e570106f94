import { createHmac } from 'node:crypto';
import { lookup as dnsLookup } from 'node:dns';
import { existsSync } from 'node:fs';
import type { LookupFunction } from 'node:net';
import type { Dispatcher } from 'undici';
import { shownUrl } from '../drivers/external/redact.ts';
import type { WebhookAllow } from './allow.ts';
import { ANSWER_MAX, Expired, type PostAnswer, post } from './exchange.ts';
import { loadAgent } from './load.ts';
import { type Target, targetOf } from './target.ts';

/** How long a connection may take to be made, milliseconds. */
const CONNECT_MS = 5_000;
/** How long an idle connection is kept, milliseconds. */
const KEEP_ALIVE_MS = 10_000;

/** Header with the HMAC of the body. */
const SIGNATURE_HEADER = 'x-vfio-host-signature';

/** One callback to deliver. */
interface WebhookRequest {
  readonly url: string;
  readonly secret?: string | undefined;
  /** For connection, headers and body together, milliseconds. */
  readonly timeoutMs: number;
  readonly payload: object;
}

/** What came back: a 2xx with its body, or the reason why there is none. */
type WebhookOutcome =
  | { ok: true; status: number; body: string }
  | { ok: false; reason: string; status?: number; body?: string };

/** The connections. */
export interface Agents {
  /** For origins that are not on the list: the address a name resolves to is checked at every connection. */
  readonly checked: Dispatcher;
  /** For origins that are on the list, wherever they lead. */
  readonly trusted: Dispatcher;
}

/** URLs of webhooks that are remembered. */
const TARGETS_MAX = 256;

/** Delivers callbacks over HTTP. */
export class WebhookCaller {
  /** What has been found out of each URL: nothing of it changes, and a webhook is called many times in a row. */
  private readonly targets = new Map<string, Target>();
  /** Callbacks that are under way. */
  underway = 0;

  constructor(
    private readonly allow: WebhookAllow,
    /** Whether this process runs in a container, where loopback is the container's own. */
    private readonly inContainer: boolean = runsInContainer(),
    /** Where null, made with the first delivery: most services never make one. */
    private agents: Agents | null = null,
  ) {}

  private async makeAgents(): Promise<Agents> {
    const Agent = await loadAgent();
    const keepAliveTimeout = KEEP_ALIVE_MS;
    this.agents ??= {
      checked: new Agent({
        connect: { timeout: CONNECT_MS, lookup: this.checkedLookup() },
        keepAliveTimeout,
      }),
      trusted: new Agent({ connect: { timeout: CONNECT_MS }, keepAliveTimeout }),
    };
    return this.agents;
  }

  /** Why a URL can never be called, in words; null when it may be (a name is resolved when it is called). */
  refuses(url: string): string | null {
    return this.targetOf(url).refused;
  }

  private targetOf(text: string): Target {
    const known = this.targets.get(text);
    if (known) return known;
    if (this.targets.size >= TARGETS_MAX) this.targets.clear();
    const found = targetOf(text, this.allow);
    this.targets.set(text, found);
    return found;
  }

  /** Delivers one callback. Never throws: whatever goes wrong is the outcome's reason. */
  async call(
    { url, secret, timeoutMs, payload }: WebhookRequest,
    given: AbortSignal,
  ): Promise<WebhookOutcome> {
    const target = this.targetOf(url);
    const { refused, origin, path, trusted } = target;
    if (refused) return { ok: false, reason: `${shownUrl(url)} ${refused}` };
    const body = JSON.stringify(payload);
    const headers: Record<string, string> = { 'content-type': 'application/json' };
    if (secret !== undefined) headers[SIGNATURE_HEADER] = sign(body, secret);
    this.underway++;
    try {
      const agents = this.agents ?? (await this.makeAgents());
      const agent = trusted ? agents.trusted : agents.checked;
      return outcomeOf(await post(agent, { origin, path, headers, body, timeoutMs }, given));
    } catch (error) {
      if (error instanceof Expired) return { ok: false, reason: `no answer within ${timeoutMs} ms` };
      return { ok: false, reason: this.reasonOf(error, target) };
    } finally {
      this.underway--;
    }
  }

  /** Ends every connection. */
  async close(): Promise<void> {
    const { agents } = this;
    if (agents) await Promise.all([agents.checked.destroy(), agents.trusted.destroy()]);
  }

  /** Resolves a name and lets through only what may be reached, so that nothing changes in between. */
  private checkedLookup(): LookupFunction {
    return (hostname, options, callback) => {
      dnsLookup(hostname, { ...options, all: true }, (error, found) => {
        if (error) return callback(error, '', 0);
        const permitted = found.filter(({ address }) => this.allow.allowsAddress(address));
        const first = permitted[0];
        if (!first) {
          const to = found.map(({ address }) => address).join(', ');
          const refused = new Error(`${hostname} resolves to ${to}, which WEBHOOK_ALLOW does not list`);
          return callback(refused, '', 0);
        }
        if (options.all) return callback(null, permitted as never);
        return callback(null, first.address, first.family);
      });
    };
  }

  private reasonOf(error: unknown, { hostname, literal }: Target): string {
    const { code, message, cause } = error as NodeJS.ErrnoException & { cause?: Error };
    const text = [code, message || cause?.message].filter(Boolean).join(': ');
    const loopback = hostname === 'localhost' || this.isLoopback(literal);
    if (code !== 'ECONNREFUSED' || !loopback || !this.inContainer) return text;
    return (
      `${text}. ${hostname} is this container itself; a driver on the machine around it is ` +
      'host.docker.internal (with docker: --add-host host.docker.internal:host-gateway)'
    );
  }

  private isLoopback(address: string | null): boolean {
    return address !== null && (address === '::1' || address.startsWith('127.'));
  }
}

/** HMAC-SHA256 over a body, as the header carries it. */
function sign(body: string, secret: string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
}

function outcomeOf({ status, text }: PostAnswer): WebhookOutcome {
  if (text === null) return { ok: false, reason: `the body of the answer is over ${ANSWER_MAX} bytes` };
  const answered = { status, body: text };
  if (status >= 300 && status < 400) {
    return { ok: false, reason: `status ${status}: redirects are not followed`, ...answered };
  }
  if (status < 200 || status >= 300) return { ok: false, reason: `status ${status}`, ...answered };
  return { ok: true, status, body: text };
}

/** Whether this process runs in a container, as far as the usual marks tell. */
function runsInContainer(): boolean {
  return (
    existsSync('/.dockerenv') ||
    existsSync('/run/.containerenv') ||
    process.env.KUBERNETES_SERVICE_HOST !== undefined
  );
}
