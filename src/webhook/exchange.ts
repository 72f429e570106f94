import type { Dispatcher } from 'undici';
import { Chunks } from '../chunks.ts';
import { Turn } from '../turns.ts';

/** Largest answer that is read, bytes. */
export const ANSWER_MAX = 1024 * 1024;

/** How many answers of the kind 1xx may come before the one that counts. */
const INTERIM_MAX = 16;

/** A POST that is to be answered in time. */
interface Post {
  readonly origin: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  /** For connection, headers and body together, milliseconds. */
  readonly timeoutMs: number;
}

/** What came back; `text` is null where the body was too large to be read. */
export interface PostAnswer {
  readonly status: number;
  readonly text: string | null;
}

/** The time of a POST is over. */
export class Expired extends Error {}

/**
 * Makes a POST. It hands undici a handler instead of asking for a stream, and stops it by its controller instead of by
 * a signal: that is what half of a delivery's time went into.
 *
 * @param given gives the POST up
 * @throws Expired when it was not answered in time, and whatever else went wrong
 */
export async function post(dispatcher: Dispatcher, request: Post, given: AbortSignal): Promise<PostAnswer> {
  given.throwIfAborted();
  return new Promise((resolve, reject) => {
    const exchange = new Exchange(request.timeoutMs, given, resolve, reject);
    const { origin, path, headers, body } = request;
    dispatcher.dispatch({ origin, path, method: 'POST', headers, body }, exchange);
  });
}

class Exchange implements Dispatcher.DispatchHandler {
  private controller: Dispatcher.DispatchController | null = null;
  private status = 0;
  private readonly chunks = new Chunks();
  private interim = 0;
  private readonly turn = new Turn();
  private over = false;
  private readonly timer: NodeJS.Timeout;
  private readonly giveUp = () => this.fail(this.given.reason);

  constructor(
    timeoutMs: number,
    private readonly given: AbortSignal,
    private readonly resolve: (answer: PostAnswer) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    this.timer = setTimeout(() => this.fail(new Expired()), timeoutMs);
    given.addEventListener('abort', this.giveUp);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    // It may be over before there is a connection.
    if (this.over) controller.abort(new Error('the POST is over'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.status = status;
    if (status < 200 && ++this.interim > INTERIM_MAX) {
      this.fail(new Error(`more than ${INTERIM_MAX} answers of the kind 1xx came, and no other`));
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.chunks.length + chunk.length <= ANSWER_MAX) {
      this.chunks.add(chunk);
      this.giveWay(controller);
    } else if (this.end()) {
      this.resolve({ status: this.status, text: null });
      // Ends the connection: nobody reads the rest.
      controller.abort(new Error('the answer is too large'));
    }
  }

  /** A body in very many pieces is read no faster than others have their turn. */
  private giveWay(controller: Dispatcher.DispatchController): void {
    if (this.over || controller.paused || !this.turn.isDue()) return;
    controller.pause();
    this.turn.later(() => controller.resume());
  }

  onResponseEnd(): void {
    if (this.end()) {
      this.resolve({ status: this.status, text: this.chunks.takeText() });
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.end()) this.reject(error);
  }

  private fail(error: Error): void {
    if (!this.end()) return;
    this.reject(error);
    this.controller?.abort(error);
  }

  /** Whether it ends now; false where it has before. */
  private end(): boolean {
    if (this.over) return false;
    this.over = true;
    clearTimeout(this.timer);
    this.given.removeEventListener('abort', this.giveUp);
    return true;
  }
}
