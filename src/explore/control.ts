import type { Hit } from './expander.ts';
import type { ExploreRequest } from './request.ts';

/** What the threads of a search share besides its states: words of an Int32Array. */
export const CONTROL = { next: 0, end: 1, isLast: 2, stop: 3, transitions: 4, words: 5 } as const;

/** What a thread is started with. */
export interface ThreadData {
  readonly request: Omit<ExploreRequest, 'gen'> & { readonly kernel: string };
  readonly states: SharedArrayBuffer;
  readonly remembered: SharedArrayBuffer;
  readonly control: Int32Array;
}

/** What a thread has found in a layer. */
export interface Share {
  readonly hits: Hit[];
}
