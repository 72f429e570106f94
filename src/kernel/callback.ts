import type { NotifyResult } from './driver.ts';
import type { Errno } from './errno.ts';

/** One delivery of dma_unmap to one device. */
export interface Invalidation {
  device: string;
  /** The mapping's range, bytes. */
  iova: bigint;
  length: bigint;
  /** Visit of this mapping, from 1 (type1 gives up after 11). */
  attempt: number;
  /** Invalidation round within this call, from 1. */
  round: number;
}

/** What a driver is called for; `hold`: nothing, it has stopped where a test wants it to. */
export type CallbackName = 'dma-unmap' | 'open-device' | 'close-device' | 'hold';

/** A callback that is pending outside the kernel. */
export interface PendingCallback {
  /**
   * `held`: a synthetic driver's callback that stopped before it did anything, or a driver model at a place where
   * it was told to.
   * `outside`: a driver outside must be called, or complete-callback says that it was.
   */
  readonly mode: 'held' | 'outside';
  readonly call: CallbackName;
  readonly device: string;
  /** With dma-unmap. */
  readonly invalidation: Invalidation | null;
}

/** What a driver outside answered; nothing where it just returned. */
export interface CallbackReturn {
  /** open-device: the errno it fails with. */
  errno?: Errno;
  /** dma-unmap on a notifier chain: NOTIFY_BAD or NOTIFY_STOP end the chain. */
  notify?: NotifyResult;
}
