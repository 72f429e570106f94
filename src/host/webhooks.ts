import type { WebhookConfig } from '../../schemas/drivers/external.ts';
import { hex } from '../kernel/pages.ts';
import type { CallbackReturn, PendingCallback } from '../kernel/task.ts';
import type { WebhookCaller } from '../webhook/caller.ts';
import { type Delivered, readAnswer } from '../webhook/delivery.ts';
import type { CallTask } from './call-task.ts';
import type { Host } from './host.ts';
import type { Reporter } from './reporter.ts';

/** How long a callback may take unless its device says otherwise, milliseconds. */
export const WEBHOOK_TIMEOUT_MS = 5_000;

/** How one delivery ended, for log and journal. */
export interface WebhookReport {
  readonly device: string;
  readonly callback: string;
  readonly url: string;
  readonly outcome: 'returned' | 'failed';
  readonly status?: number;
  /** Why it counts as "the callback returned and did nothing". */
  readonly reason?: string;
}

/**
 * Delivers a callback to a webhook driver and lets the task go on, whatever comes back. The unpins an answer
 * asks for are made as calls of the device before the callback returns.
 */
export async function deliver(
  host: Host,
  caller: WebhookCaller,
  config: WebhookConfig,
  task: CallTask,
  callback: PendingCallback,
  reporter: Reporter,
): Promise<void> {
  const { url, secret, timeoutMs = WEBHOOK_TIMEOUT_MS } = config;
  const outcome = await caller.call(
    { url, secret, timeoutMs, payload: payloadOf(task, callback, timeoutMs) },
    task.delivery!.signal,
  );
  // The task may have been killed meanwhile, as part of a deadlock or by a reset.
  if (task.end) return;
  const base = { device: callback.device, callback: callback.call, url };
  let result: CallbackReturn = {};
  if (!outcome.ok) {
    reporter.webhook(task, { ...base, outcome: 'failed', reason: outcome.reason });
  } else {
    const read = readAnswer(outcome.body);
    if ('reason' in read) {
      reporter.webhook(task, { ...base, outcome: 'failed', status: outcome.status, reason: read.reason });
    } else {
      reporter.webhook(task, { ...base, outcome: 'returned', status: outcome.status });
      ({ result } = read);
      await unpin(host, callback.device, read.unpin);
    }
  }
  if (!task.end) host.callbackReturned(task, result);
}

async function unpin(host: Host, device: string, runs: Delivered['unpin']): Promise<void> {
  for (const { iova, npage } of runs) {
    const started = host.start({ call: 'unpin-pages', device, iova, npage });
    if (!started.answer) await started.settled;
  }
}

function payloadOf(task: CallTask, callback: PendingCallback, deadlineMs: number): object {
  const { container } = task;
  const { call, device, invalidation } = callback;
  return {
    call,
    container,
    device,
    ...(invalidation
      ? {
          iova: hex(invalidation.iova),
          length: hex(invalidation.length),
          attempt: invalidation.attempt,
          round: invalidation.round,
        }
      : {}),
    // Of the journal entry that is delivered.
    seq: invalidation ? task.invalidationSeq : task.seq,
    deadlineMs,
  };
}
