import { hex } from '../../kernel/pages.ts';
import type { MatrixDev } from './matrix-dev.ts';
import type { VfioApQueue } from './queue.ts';

/** A queue as recordings show it. */
export function shownQueue({ apqn, savedIova, savedIsc, resetResponse }: VfioApQueue) {
  return {
    apqn,
    savedIova: savedIova === 0n ? null : hex(savedIova),
    savedIsc,
    ...(resetResponse === 0 ? {} : { resetResponse }),
  };
}

/** What recordings show besides devices: queues that no device was made with and that hold something, and guests. */
export function observe(matrixDev: MatrixDev): Record<string, unknown> {
  const others = matrixDev.bus.queuesThatHold().filter(({ apqn }) => !matrixDev.madeWith.has(apqn));
  const guests = matrixDev.allGuests().filter((guest) => guest.shows);
  return {
    ...(others.length > 0
      ? { otherQueues: others.map((q) => ({ ...shownQueue(q), mdev: q.matrixMdev !== null })) }
      : {}),
    ...(guests.length > 0 ? { guests: guests.map((guest) => guest.describe()) } : {}),
  };
}
