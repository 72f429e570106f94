import type { MatrixMdev } from './mdev.ts';

/** What the driver vfio_ap keeps of a queue that is bound to it (struct vfio_ap_queue). */
export class VfioApQueue {
  /** The mdev it is linked to. Nothing clears it when a queue that was filtered is unlinked. */
  matrixMdev: MatrixMdev | null = null;
  /** Key of the pinned notification byte, bytes; 0: none, as in the driver. */
  savedIova = 0n;
  /** Interruption subclass that is registered; null: none (VFIO_AP_ISC_INVALID). */
  savedIsc: number | null = null;
  /** The response of its last ZAPQ (`reset_rc`, `reset_status`; 5.10 does not keep it). */
  resetResponse = 0;

  constructor(readonly apqn: number) {}

  /** Whether it holds anything. */
  get holds(): boolean {
    return this.savedIova !== 0n || this.savedIsc !== null;
  }
}

const BUCKET_BITS = 8;
/** GOLDEN_RATIO_32: hash_32 of an APQN is what orders a table. */
const GOLDEN_RATIO = 0x61c88647;

/** struct ap_queue_table: queues by a hash of their APQN. Its order is that of the hash, newest first in a bucket. */
export class QueueTable {
  private readonly buckets = new Map<number, VfioApQueue[]>();

  /** hash_add. */
  add(q: VfioApQueue): void {
    const key = bucketOf(q.apqn);
    this.buckets.set(key, [q, ...(this.buckets.get(key) ?? [])]);
  }

  /** hash_del; nothing where it is not in the table. */
  delete(q: VfioApQueue): void {
    const key = bucketOf(q.apqn);
    const left = (this.buckets.get(key) ?? []).filter((other) => other !== q);
    if (left.length === 0) this.buckets.delete(key);
    else this.buckets.set(key, left);
  }

  /** vfio_ap_mdev_get_queue. */
  get(apqn: number): VfioApQueue | undefined {
    return this.buckets.get(bucketOf(apqn))?.find((q) => q.apqn === apqn);
  }

  /** hash_for_each. */
  list(): VfioApQueue[] {
    return [...this.buckets].sort(([a], [b]) => a - b).flatMap(([, queues]) => queues);
  }
}

function bucketOf(apqn: number): number {
  return Math.imul(apqn, GOLDEN_RATIO) >>> (32 - BUCKET_BITS);
}
