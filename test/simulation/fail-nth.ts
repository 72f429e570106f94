import type { Dispatcher } from 'undici';
import { Invariants } from './invariants.ts';
import { World } from './world.ts';

/** What lies outside of the service, and can fail. */
export const OUTSIDE = ['webhook', 'answer', 'timer', 'socket', 'stream'] as const;
type Outside = (typeof OUTSIDE)[number];

/** Longest that anything takes that has not failed, milliseconds of virtual time. */
const LONGEST_MS = 61_000;
/** Turns of the event loop after which nothing more happens by itself. */
const TURNS = 12;

/** A client's requests, one after the other; it goes on whatever it is answered. */
interface Story {
  readonly name: string;
  tell(run: Run): Promise<void>;
}

const JSON_LINES = { 'content-type': 'application/x-ndjson' };
const WEBHOOK = {
  type: 'webhook',
  url: 'http://127.0.0.1:9/',
  timeoutMs: 2000,
  openDevice: true,
  closeDevice: true,
};
const RANGE = { iova: 0x10000, size: 0x4000 };
const lines = (...calls: object[]) => calls.map((call) => `${JSON.stringify(call)}\n`).join('');

async function prepare(run: Run): Promise<void> {
  await run.ask('POST', '/v1/containers', { container: 'c0' });
  await run.ask('POST', '/v1/devices', { device: 'd0', driver: WEBHOOK });
  await run.ask('POST', '/v1/containers/c0/attach', { device: 'd0' });
  await run.ask('POST', '/v1/containers/c0/map-dma', { ...RANGE, vaddr: 0x10000, flags: 3 });
  await run.ask('POST', '/v1/devices/d0/pin-pages', { iova: 0x10000, npage: 2, prot: 3 });
}

/** Stories in which nothing goes wrong. */
export const STORIES: readonly Story[] = [
  {
    name: 'a webhook driver from open to close',
    async tell(run) {
      await prepare(run);
      await run.ask('POST', '/v1/containers/c0/unmap-dma', RANGE);
      await run.ask('POST', '/v1/containers/c0/detach', { device: 'd0' });
      await run.ask('DELETE', '/v1/containers/c0');
    },
  },
  {
    name: 'calls that a fault delays',
    async tell(run) {
      await prepare(run);
      await run.ask('POST', '/v1/faults', { fault: 'f', on: 'unmap-dma', every: 1, delayMs: 500 });
      await run.ask('POST', '/v1/containers/c0/unmap-dma', { ...RANGE, iova: 0x90000 });
      await run.ask('POST', '/v1/containers/c0/unmap-dma', RANGE);
      await run.ask('DELETE', '/v1/faults/f');
    },
  },
  {
    name: 'readers of the journal',
    async tell(run) {
      await run.ask('POST', '/v1/processes', { process: 'p1' });
      // They read until the reset, or until the rig goes.
      for (const accept of ['application/x-ndjson', 'text/event-stream']) {
        void run.begin('GET', '/v1/events', undefined, { accept });
      }
      void run.begin('GET', '/v1/events?wait=1&timeoutMs=3000&kind=invalidation');
      await prepare(run);
      await run.ask('POST', '/v1/containers/c0/unmap-dma', RANGE);
      await run.ask('POST', '/v1/reset', {});
    },
  },
  {
    name: 'a batch that awaits, and an operation',
    async tell(run) {
      await prepare(run);
      const calls = [
        { call: 'unmap-dma', container: 'c0', ...RANGE, async: 'a' },
        { call: 'check-extension', container: 'c0', extension: 1 },
        { call: 'await', of: 'a' },
        { call: 'map-dma', container: 'c0', ...RANGE, vaddr: 0, flags: 3 },
        { call: 'pin-pages', device: 'd0', iova: 0x10000, npage: 1, prot: 3 },
      ];
      await run.ask('POST', '/v1/batch', lines(...calls), JSON_LINES);
      await run.ask('POST', '/v1/containers/c0/unmap-dma', RANGE, { prefer: 'respond-async' });
      await run.ask('GET', '/v1/operations/op0?wait=1&timeoutMs=4000');
    },
  },
  {
    name: 'a snapshot, its restore, and a replay',
    async tell(run) {
      await prepare(run);
      const snapshot = await run.ask('GET', '/v1/snapshot');
      const trace = await run.ask('GET', '/v1/trace');
      if (snapshot) await run.ask('PUT', '/v1/snapshot', JSON.parse(snapshot));
      await run.ask('POST', '/v1/containers/c0/unmap-dma', RANGE);
      if (trace) await run.ask('POST', '/v1/replay', JSON.parse(trace));
    },
  },
];

/** One telling of a story, of which one outside step fails; 0: none does. */
class Run {
  /** Outside steps so far, by kind. */
  readonly steps: Record<Outside, number> = { webhook: 0, answer: 0, timer: 0, socket: 0, stream: 0 };
  /** Statuses in order; null for a client that had left. */
  readonly statuses: (number | null)[] = [];
  readonly problems: string[] = [];
  private readonly deliveries = new Set<object>();
  private readonly invariants = new Invariants();
  private open = 0;

  constructor(
    private readonly world: World,
    private readonly rig: string,
    private readonly failing: { kind: Outside; nth: number } | null,
  ) {
    world.surroundings = {
      dispatcher: { dispatch: this.dispatch } as unknown as Dispatcher,
      fault: (line) => void this.problems.push(line),
    };
    world.time.firesAtOnce = () => this.fails('timer');
  }

  /** Counts a step of the world outside; true where this one is to fail. */
  private fails(kind: Outside): boolean {
    this.steps[kind]++;
    return this.failing?.kind === kind && this.failing.nth === this.steps[kind];
  }

  /** A driver that unpins what it is called for; its connection breaks before the POST or in an answer's part. */
  private readonly dispatch = (
    { body }: Dispatcher.DispatchOptions,
    handler: Dispatcher.DispatchHandler,
  ): boolean => {
    const delivery = {};
    this.deliveries.add(delivery);
    let over = false;
    const end = (how: () => void) => {
      if (over) return;
      over = true;
      this.deliveries.delete(delivery);
      how();
    };
    const broken = (error: Error) => end(() => handler.onResponseError?.(controller, error));
    const controller = { abort: broken, pause() {}, resume() {} } as unknown as Dispatcher.DispatchController;
    handler.onRequestStart?.(controller, {});
    const { iova } = JSON.parse(String(body)) as { iova?: string };
    const answer = Buffer.from(JSON.stringify(iova ? { unpin: [{ iova, npage: 2 }] } : {}));
    const parts = [
      () => handler.onResponseStart?.(controller, 200, {}, ''),
      () => handler.onResponseData?.(controller, answer.subarray(0, 1)),
      () => handler.onResponseData?.(controller, answer.subarray(1)),
      () => end(() => handler.onResponseEnd?.(controller, {})),
    ];
    const breaks = this.fails('webhook');
    queueMicrotask(() => {
      const gone = Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
      if (breaks) return broken(gone);
      for (const part of parts) {
        if (this.fails('answer')) return broken(gone);
        if (!over) part();
      }
    });
    return true;
  };

  /** Makes a request, and waits for its answer or the client's leaving. */
  async ask(
    method: string,
    url: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<string> {
    const answer = this.begin(method, url, body, headers);
    await this.pass(answer);
    for (const { host } of this.world.service.rigs.list()) {
      const { events } = host.journal.read({ since: 0, kind: 'splat', limit: 1000 });
      for (const event of events) if (event.kind === 'splat') this.invariants.splat(host.kernel, event.splat);
      this.invariants.check(host.kernel);
    }
    return answer;
  }

  /** Makes a request. Its body's parts are taken one by one. */
  async begin(
    method: string,
    url: string,
    payload?: unknown,
    headers: Record<string, string> = {},
  ): Promise<string> {
    const gone = new AbortController();
    this.open++;
    const at = this.statuses.push(null) - 1;
    const options = {
      method: method as 'GET',
      url,
      headers: { ...headers, 'x-rig': this.rig },
      signal: gone.signal,
    };
    const leaves = this.fails('socket');
    const injected = this.world.running!.app.inject({
      ...options,
      ...(payload === undefined ? {} : { payload: payload as object }),
      payloadAsStream: true,
    });
    if (leaves) setImmediate(() => gone.abort());
    try {
      const response = await injected;
      let text = '';
      for await (const chunk of response.stream()) {
        text += String(chunk);
        if (this.fails('stream')) {
          gone.abort();
          return '';
        }
      }
      this.statuses[at] = response.statusCode;
      return response.statusCode === 200 ? text : '';
    } catch (error) {
      if (!gone.signal.aborted) throw error;
      return '';
    } finally {
      this.open--;
    }
  }

  /** Lets time pass until something is over. */
  private async pass(until: Promise<unknown>): Promise<void> {
    let over = false;
    const done = () => {
      over = true;
    };
    until.then(done, done);
    await this.settle();
    for (let at = 0; !over && at < LONGEST_MS; at += 500)
      await this.world.time.advance(500, () => this.settle());
    if (!over) this.problems.push('a request is never answered');
  }

  private async settle(): Promise<void> {
    for (let i = 0; i < TURNS; i++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** The end: nothing is left of it. */
  async end(): Promise<void> {
    this.world.time.firesAtOnce = () => false;
    await this.pass(this.begin('DELETE', `/v1/rigs/${this.rig}`));
    // The last word to the readers of a journal may take so long.
    await this.world.time.advance(100, () => this.settle());
    await this.settle();
    if (this.open > 0) this.problems.push(`${this.open} requests are never answered`);
    if (this.deliveries.size > 0) this.problems.push(`${this.deliveries.size} deliveries go on`);
    const own = 1;
    const { running } = this.world.time;
    if (running !== own) this.problems.push(`${running - own} timers run`);
  }
}

async function tell(
  world: World,
  story: Story,
  failing: { kind: Outside; nth: number } | null,
): Promise<Run> {
  const run = new Run(world, 'story', failing);
  world.time.rewind();
  await story.tell(run);
  await run.end();
  const which = failing ? `with ${failing.kind} ${failing.nth} failing` : 'as it should be';
  if (run.problems.length > 0) throw new Error(`${story.name}, ${which}: ${run.problems.join('\n')}`);
  return run;
}

/**
 * Tells a story once as it should be, and then as often as it has outside steps, each time with another one failing;
 * after those of each kind it is told as it should be again, and is as it was.
 *
 * @returns how many steps failed, by kind
 */
export async function failEach(story: Story): Promise<Record<Outside, number>> {
  const world = new World();
  world.time.install();
  try {
    await world.start();
    const good = await tell(world, story, null);
    if (good.statuses.some((status) => status === null || status >= 400)) {
      throw new Error(`${story.name} is no good story: ${good.statuses}`);
    }
    for (const kind of OUTSIDE) {
      for (let nth = 1; nth <= good.steps[kind]; nth++) {
        await tell(world, story, { kind, nth });
        const again = await tell(world, story, null);
        if (String(again.statuses) !== String(good.statuses)) {
          throw new Error(
            `${story.name} after ${kind} ${nth} failed: ${again.statuses}, not ${good.statuses}`,
          );
        }
      }
    }
    await world.running!.app.close();
    return good.steps;
  } finally {
    world.time.restore();
  }
}
