import { Agent, request } from 'node:http';
import { Random } from '../simulation/random.ts';
import { type Attack, Attacks, LONG } from './requests.ts';
import { rawAttack } from './sockets.ts';

/** Statuses that say a request was refused before a kernel saw it, unless an errno is there. */
const REFUSED = [400, 401, 403, 404, 405, 413, 415, 421, 429, 431];

/** Requests after which a worker's rig begins anew. */
const RIG_LIVES = 400;
/** Of so many requests one is looked at before and after. */
const LOOKED_AT = 12;
/** Of so many requests one is a raw socket. */
const RAW = 25;
/** Longest answer that is read, bytes. */
const ANSWER_MAX = 64 * 1024 * 1024;
/** After so long without an answer it is asked whether the call waits for its driver, milliseconds. */
const ANSWER_MS = 10_000;

/** A body that takes a while to be read and checked, characters, and how long that may be, milliseconds. */
const LONG_BODY = 1_000_000;
const LONG_BODY_MS = 120_000;
/** How often the service is looked at before its silence counts. */
const LOOKS_MAX = 12;

/** Characters of a request that an error repeats. */
const TOLD_MAX = 20_000;

/** Slow requests that are told of. */
const SLOWEST = 5;

/** In place of a status: no answer so far. */
const WAITS = -1;

/** What came of it all. */
export interface FuzzReport {
  requests: number;
  raw: number;
  /** Refused requests of which the state was compared before and after. */
  unchanged: number;
  statuses: Record<number, number>;
  /** The requests that took longest, on the client's clock. */
  slowest: { ms: number; what: string }[];
}

interface Answer {
  status: number;
  text: string;
  /** Where there is no answer so far: what is still waited for. */
  late?: Late;
}

interface Late {
  /** Resolves when an answer has come after all. */
  readonly answered: Promise<void>;
  leave(): void;
}

/** Attacks a service on 127.0.0.1 as several clients, each with a rig of its own. */
export class Fuzzer {
  readonly report: FuzzReport = { requests: 0, raw: 0, unchanged: 0, statuses: {}, slowest: [] };
  private readonly agent = new Agent({ keepAlive: true });
  private readonly underway = new Set<Attack>();
  private last: Attack | null = null;
  private left: number;

  constructor(
    private readonly port: number,
    private readonly seed: number,
    count: number,
    private readonly openapi: string,
  ) {
    this.left = count;
  }

  /** @throws Error for the first answer that must not be, with the request that was answered so */
  async run(workers: number): Promise<void> {
    try {
      await Promise.all(Array.from({ length: workers }, (_, i) => this.work(i)));
    } finally {
      this.agent.destroy();
    }
  }

  /** Asks for everything once: what is compiled and made on first use is then there. */
  async touch(): Promise<void> {
    const attacks = new Attacks(new Random(this.seed), this.openapi, []);
    for (const attack of attacks.each())
      await this.send({ ...attack, headers: { 'x-rig': 'touched', ...attack.headers } });
    for (const path of ['/openapi.json', '/docs/', '/ui/', '/'])
      await this.send({ method: 'GET', path, headers: {}, body: null });
  }

  /** What is still there when it ends is not what memory has grown by. */
  async endRigs(): Promise<void> {
    const { text } = await this.send({ method: 'GET', path: '/v1/rigs', headers: {}, body: null });
    for (const { rig } of JSON.parse(text).rigs as { rig: string }[])
      await this.send({ method: 'DELETE', path: `/v1/rigs/${rig}`, headers: {}, body: null });
  }

  private async work(worker: number): Promise<void> {
    const random = new Random(this.seed * 1000 + worker);
    // A port that nobody listens on, this service itself, and what the list of webhooks does not have.
    const urls = [
      'http://127.0.0.1:1/',
      `http://127.0.0.1:${this.port}/v1/reset`,
      'http://192.0.2.1/',
      'http://[::1]:1/',
    ];
    const attacks = new Attacks(random, this.openapi, urls);
    const rig = `w${worker}`;
    for (let i = 0; this.left > 0; i++) {
      this.left--;
      if (i % RIG_LIVES === 0) await this.begin(rig);
      if (random.upTo(RAW) === 0) {
        const { sent, statuses } = await rawAttack(this.port, random);
        this.report.raw++;
        for (const status of statuses) this.judge(`raw ${JSON.stringify(sent)}`, { status, text: '' });
        continue;
      }
      await this.attack(rig, attacks.next(), random.upTo(LOOKED_AT) === 0);
    }
  }

  private async begin(rig: string): Promise<void> {
    await this.send({ method: 'DELETE', path: `/v1/rigs/${rig}`, headers: {}, body: null });
    const headers = { 'x-rig': rig, 'content-type': 'application/x-ndjson' };
    const body = Attacks.START.map((call) => `${JSON.stringify(call)}\n`).join('');
    await this.send({ method: 'POST', path: '/v1/batch', headers, body });
  }

  private async attack(rig: string, attack: Attack, isLookedAt: boolean): Promise<void> {
    const own = { ...attack, headers: { 'x-rig': rig, ...attack.headers } };
    const before = isLookedAt ? await this.state(rig) : null;
    const answer = await this.send(own);
    this.judge(
      `${attack.method} ${attack.path} ${JSON.stringify(attack.headers)} ${attack.body?.slice(0, 2000) ?? ''}`,
      answer,
    );
    const { status, text, late } = answer;
    if (late) return this.waits(rig, own, late).finally(late.leave);
    // A rig whose kernel has panicked begins anew.
    if (status === 503) await this.begin(rig);
    if (before === null || !REFUSED.includes(status) || text.includes('"errno"')) return;
    const after = await this.state(rig);
    if (after === null) return;
    this.report.unchanged++;
    if (before !== after) {
      throw new Error(
        `answered ${status}, but the state has changed: ${JSON.stringify(own).slice(0, 3000)}\n${change(before, after)}\n${text.slice(0, 300)}`,
      );
    }
  }

  /** A call may wait as long as its driver does, or a fault delays it: the rig's end ends it. A search takes its time. */
  private async waits(rig: string, attack: Attack, { answered }: Late): Promise<void> {
    if (LONG.test(attack.path)) return;
    for (let tries = 0; tries < LOOKS_MAX; tries++) {
      const { status, text } = await this.send({
        method: 'GET',
        path: '/v1',
        headers: { 'x-rig': rig },
        body: null,
      });
      // On a machine with other work everybody waits.
      if (status !== 200) continue;
      const { counts } = JSON.parse(text) as { counts: { pendingCalls: number } };
      if (counts.pendingCalls > 0) return this.begin(rig);
      // It may have been answered while this was asked.
      if (await inTime(answered)) return;
      throw new Error(`no answer, and no call is under way: ${this.told(rig, attack)}`);
    }
    throw new Error(`no answer for ${(LOOKS_MAX * ANSWER_MS) / 1000} s, after ${this.told(rig, attack)}`);
  }

  private told(rig: string, attack: Attack): string {
    return `seed ${this.seed}, rig ${rig}, request ${this.report.requests}: ${JSON.stringify(attack).slice(0, TOLD_MAX)}`;
  }

  /** The state of a rig; null while calls are under way. */
  private async state(rig: string): Promise<string | null> {
    const { status, text } = await this.send({
      method: 'GET',
      path: '/v1/snapshot',
      headers: { 'x-rig': rig },
      body: null,
    });
    return status === 200 ? text : null;
  }

  private judge(what: string, { status, text }: Answer): void {
    this.report.statuses[status] = (this.report.statuses[status] ?? 0) + 1;
    const isMeant = status < 500 || (status === 503 && (text === '' || text.includes(':abandoned"')));
    if (!isMeant) throw new Error(`answered ${status}: ${what}\n${text.slice(0, 500)}`);
  }

  private async send(attack: Attack): Promise<Answer> {
    const began = performance.now();
    this.underway.add(attack);
    try {
      return await this.exchange(attack);
    } finally {
      this.underway.delete(attack);
      this.last = attack;
      this.note(attack, performance.now() - began);
    }
  }

  /** What is under way, or was last: who may have held the event loop. */
  suspects(): string[] {
    const now = [...this.underway];
    return (now.length === 0 && this.last ? [this.last] : now).map(shown);
  }

  /** Keeps the slowest few. */
  private note(attack: Attack, ms: number): void {
    const { slowest } = this.report;
    if (slowest.length === SLOWEST && ms <= slowest.at(-1)!.ms) return;
    slowest.push({ ms: Math.round(ms), what: shown(attack) });
    slowest.sort((a, b) => b.ms - a.ms);
    slowest.length = Math.min(slowest.length, SLOWEST);
  }

  private exchange({ method, path, headers, body }: Attack): Promise<Answer> {
    this.report.requests++;
    return new Promise((resolve, reject) => {
      const failed = (error: Error) => {
        const sent = JSON.stringify({ method, path, headers, body }).slice(0, TOLD_MAX);
        reject(new Error(`seed ${this.seed}, request ${this.report.requests}: ${error.message}: ${sent}`));
      };
      let ended = () => {};
      const answered = new Promise<void>((ends) => {
        ended = ends;
      });
      const options = {
        host: '127.0.0.1',
        port: this.port,
        method,
        path: printablePath(path),
        headers,
        agent: this.agent,
        timeout: body !== null && body.length > LONG_BODY ? LONG_BODY_MS : ANSWER_MS,
      };
      const sent = request(options, (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length <= ANSWER_MAX) chunks.push(chunk);
        });
        const isStream =
          /event-stream|x-ndjson/.test(String(response.headers['content-type'])) &&
          path.startsWith('/v1/events');
        // A stream of events has no end of its own.
        if (isStream) setTimeout(() => response.destroy(), 20);
        response.on('close', () => {
          ended();
          resolve({ status: response.statusCode!, text: Buffer.concat(chunks).toString() });
        });
        response.on('error', () => {});
      });
      sent.on('timeout', () => {
        resolve({ status: WAITS, text: '', late: { answered, leave: () => sent.destroy() } });
      });
      sent.on('error', (error: NodeJS.ErrnoException) => {
        // A body that is not read any more, on a connection that is closed for it.
        if (error.code === 'EPIPE' || error.code === 'ECONNRESET') resolve({ status: 0, text: '' });
        else failed(error);
      });
      if (body === null) sent.end();
      else sent.end(body);
    });
  }
}

/** Whether something happens before it counts as silence. */
function inTime(answered: Promise<void>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), ANSWER_MS);
    void answered.then(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}

/** Where two texts part, and how each goes on. */
function change(before: string, after: string): string {
  let at = 0;
  while (before[at] === after[at]) at++;
  const from = Math.max(0, at - 200);
  return `  was …${before.slice(from, at + 200)}\n  is  …${after.slice(from, at + 200)}`;
}

/** A path as Node lets it out. */
function printablePath(path: string): string {
  return path.replace(/[^\x21-\x7e]/g, (letter) => encodeURIComponent(letter));
}

function shown({ method, path, body }: Attack): string {
  return `${method} ${path.slice(0, 80)} ${body?.slice(0, 160) ?? ''}`;
}
