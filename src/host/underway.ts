import type { UnderwayView } from '../../schemas/views.ts';
import type { PendingCallback } from '../kernel/callback.ts';
import { hex } from '../kernel/pages.ts';
import { redactCall } from '../machine/redact.ts';
import { waitsForOf } from '../machine/underway.ts';
import { recordOf } from './journal-writer.ts';
import type { Waiting } from './waiting.ts';

/** A call under way, and the container it is on. */
export interface Underway {
  readonly container: string | undefined;
  readonly view: UnderwayView;
}

/** The calls that wait for a lock or a callback, in the order in which they began to. */
export function underwayOf(waiting: Waiting): Underway[] {
  return [...waiting.list()].map(({ task }) => ({
    container: task.container,
    view: {
      seq: recordOf(task).seq,
      call: redactCall(task.object),
      waitsFor: waitsForOf(task),
      ...(task.callback ? { callback: callbackView(task.callback) } : {}),
    },
  }));
}

function callbackView({ call, device, mode, invalidation }: PendingCallback) {
  if (!invalidation) return { call, device, mode };
  const { iova, length, attempt, round } = invalidation;
  return { call, device, mode, iova: hex(iova), length: hex(length), attempt, round };
}
