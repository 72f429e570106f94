import type { Dispatcher } from 'undici';
import type { Random } from './random.ts';

/** What a driver outside does with a callback, and how often each is met. */
const TEMPERS = {
  prompt: 6,
  /** Unpins everything in the range. */
  unpins: 8,
  /** Unpins what was never pinned, or outside of any mapping. */
  wrong: 2,
  slow: 3,
  /** Never answers. */
  silent: 2,
  /** The headers, and never a body. */
  half: 1,
  error: 2,
  redirect: 1,
  garbage: 2,
  /** JSON that is no answer. */
  malformed: 2,
  huge: 1,
  /** The connection breaks. */
  breaks: 2,
  notifyBad: 2,
  errno: 1,
  /** Calls the service before it answers. */
  calls: 3,
} as const;

type Temper = keyof typeof TEMPERS;

interface Callback {
  readonly call: string;
  readonly device: string;
  readonly iova?: string;
  readonly length?: string;
}

/** One POST under way. */
class Delivery {
  over = false;

  constructor(
    readonly handler: Dispatcher.DispatchHandler,
    private readonly ended: () => void,
  ) {}

  readonly controller = {
    abort: (reason: Error) => {
      this.fails(reason);
    },
    pause() {},
    resume() {},
  } as unknown as Dispatcher.DispatchController;

  headers(status: number): void {
    if (!this.over) this.handler.onResponseStart?.(this.controller, status, {}, '');
  }

  data(chunk: Buffer): void {
    if (!this.over) this.handler.onResponseData?.(this.controller, chunk);
  }

  ends(): void {
    if (!this.end()) return;
    this.handler.onResponseEnd?.(this.controller, {});
  }

  fails(error: Error): void {
    if (!this.end()) return;
    this.handler.onResponseError?.(this.controller, error);
  }

  private end(): boolean {
    if (this.over) return false;
    this.over = true;
    this.ended();
    return true;
  }
}

/** Pages of a range that a driver unpins, at most. */
const UNPINS_MAX = 16;

/** The network between the service and the drivers outside, who are of every temper. */
export class Network {
  /** POSTs that are under way. */
  readonly underway = new Set<Delivery>();
  /** POSTs so far. */
  count = 0;
  /** Drivers that take their time. */
  timers = 0;

  constructor(
    private readonly random: Random,
    /** Makes some call of the service, as a driver does while it is called. */
    private readonly callBack: (callback: Callback) => Promise<unknown>,
  ) {}

  /** As the service is given it. */
  get dispatcher(): Dispatcher {
    const dispatch = ({ body }: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean => {
      this.count++;
      const delivery: Delivery = new Delivery(handler, () => void this.underway.delete(delivery));
      this.underway.add(delivery);
      handler.onRequestStart?.(delivery.controller, {});
      const temper = this.random.weighted(TEMPERS);
      const callback = JSON.parse(String(body)) as Callback;
      // On the wire an answer is never there at once.
      queueMicrotask(() => this.receive(delivery, temper, callback));
      return true;
    };
    return { dispatch, destroy: async () => {} } as unknown as Dispatcher;
  }

  private receive(delivery: Delivery, temper: Temper, callback: Callback): unknown {
    const { random } = this;
    const answer = (body: string, status = 200) => {
      delivery.headers(status);
      const cut = random.upTo(body.length);
      for (const part of [body.slice(0, cut), body.slice(cut)]) if (part) delivery.data(Buffer.from(part));
      delivery.ends();
    };
    const json = (value: unknown) => answer(JSON.stringify(value));
    const later = (ms: number, action: () => void) => {
      this.timers++;
      setTimeout(() => {
        this.timers--;
        action();
      }, ms);
    };
    switch (temper) {
      case 'prompt':
        return random.chance(0.5) ? json({}) : answer('');
      case 'unpins':
        return json({ unpin: pagesOf(callback) });
      case 'wrong':
        return json({
          unpin: [
            {
              iova: random.pick(['0x0', '0xfffffffffffff000', '0x800']),
              npage: random.pick([1, 0, -1, 600]),
            },
          ],
        });
      case 'slow':
        return later(random.upTo(3000), () => json(random.chance(0.5) ? {} : { unpin: pagesOf(callback) }));
      case 'silent':
        return;
      case 'half':
        return delivery.headers(200);
      case 'error':
        return answer('no', random.pick([400, 404, 500, 503]));
      case 'redirect':
        return answer('', 302);
      case 'garbage':
        return answer(random.pick(['{', 'ok', '\u0000', '"', '[1,2']));
      case 'malformed':
        return json(
          random.pick([
            null,
            [],
            7,
            { unpin: 'all' },
            { unpin: [{ iova: 1.5, npage: 1 }] },
            { errno: 'ENONSENSE' },
            { more: 1 },
          ]),
        );
      case 'huge':
        delivery.headers(200);
        for (let i = 0; i < 3; i++) delivery.data(Buffer.alloc(512 * 1024, 0x20));
        return delivery.ends();
      case 'breaks':
        if (random.chance(0.5)) delivery.headers(200);
        return delivery.fails(Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' }));
      case 'notifyBad':
        return json({ notify: random.pick(['NOTIFY_BAD', 'NOTIFY_STOP', 'NOTIFY_OK']) });
      case 'errno':
        return json({ errno: random.pick(['EIO', 'EBUSY']) });
      case 'calls':
        void this.callBack(callback);
        return later(random.upTo(50), () => json({}));
    }
  }
}

/** Every page of a callback's range. */
function pagesOf({ iova, length }: Callback): { iova: string; npage: number }[] {
  if (iova === undefined || length === undefined) return [];
  const pages = Number(BigInt(length) / 4096n);
  return Array.from({ length: Math.min(pages, UNPINS_MAX) }, (_, i) => ({
    iova: `0x${(BigInt(iova) + BigInt(i) * 4096n).toString(16)}`,
    npage: 1,
  }));
}
