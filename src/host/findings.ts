import type { WebhookReport } from '../../schemas/events.ts';
import { isNote } from '../kernel/advisories.ts';
import { hex } from '../kernel/pages.ts';
import type { LogEntry, SplatEvent } from '../kernel/splats.ts';
import type { CallTask } from '../machine/call-task.ts';
import type { HostListener } from './listener.ts';

/** What was met of one kind: how often, and the first of them in words. */
export interface Met {
  readonly kind: string;
  /** Of an advisory: the kind of the splat that its call ran into, if it did. */
  readonly because: string | null;
  count: number;
  readonly text: string;
}

/**
 * What a host has met since its start, counted by kind: the journal forgets, this does not. There are few kinds, so
 * it is small.
 */
export class Findings implements HostListener {
  private readonly splatsMet = new Map<string, Met>();
  private readonly advisoriesMet = new Map<string, Met>();
  private readonly undeliveredMet = new Map<string, Met>();
  /** Callbacks that a webhook answered. */
  delivered = 0;

  /** WARNs, BUGs, deadlocks, and lines without a trace. */
  get splats(): readonly Met[] {
    return [...this.splatsMet.values()];
  }
  /** Of calls that have ended. */
  get advisories(): readonly Met[] {
    return [...this.advisoriesMet.values()];
  }
  /** Callbacks that no webhook answered as it should. */
  get undelivered(): readonly Met[] {
    return [...this.undeliveredMet.values()];
  }

  splat(task: CallTask, { entry }: SplatEvent): void {
    note(this.splatsMet, entry.kind, null, () => `${wordsOf(entry)} (${callOf(task)})`);
  }

  ended(task: CallTask): void {
    const { advisories, splats } = task;
    if (advisories.length === 0) return;
    const because = splats.map(({ entry }) => entry.kind).find((kind) => !isPrinted(kind)) ?? null;
    for (const { kind, devices, iova, text } of advisories) {
      if (isNote(kind)) continue;
      const who = devices.length === 0 ? '' : `${devices.join(', ')}: `;
      note(this.advisoriesMet, kind, because, () => `${who}${text} (${callOf(task)}, at ${hex(iova)})`);
    }
  }

  webhook(task: CallTask, { outcome, device, callback, reason }: WebhookReport): void {
    if (outcome === 'returned') this.delivered++;
    else {
      const text = () => `${callback} of ${device}: ${reason} (${callOf(task)})`;
      note(this.undeliveredMet, 'webhooks', null, text);
    }
  }
}

/** Whether an entry of this kind is a line without a trace. */
export function isPrinted(kind: string): boolean {
  return kind.startsWith('PR_');
}

function note(met: Map<string, Met>, kind: string, because: string | null, text: () => string): void {
  const key = `${kind} ${because}`;
  const known = met.get(key);
  if (known) known.count++;
  else met.set(key, { kind, because, count: 1, text: text() });
}

function wordsOf(entry: LogEntry): string {
  return 'text' in entry ? entry.text : `${entry.function}: ${entry.condition}`;
}

function callOf({ call, container, device }: CallTask): string {
  const on = [container, device].filter((one) => one !== undefined);
  return on.length === 0 ? call : `${call} on ${on.join(', ')}`;
}
