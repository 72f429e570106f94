import type { ApInstructionShown, DriverEffects, VfioCall } from './driver.ts';
import type { Task } from './task.ts';

/** Something that effects list. */
interface DriverOp {
  /** The list it is in; null: it is in none, and counts all the same (a dma_unmap that was called). */
  readonly list: 'vfio' | 'instructions' | 'unpinnedNotHeld' | null;
  readonly entry: Readonly<Record<string, unknown>>;
  readonly task: Task;
  /** Done by a work, not by the task that waits for it. */
  readonly worker: boolean;
}

/**
 * What drivers have done since somebody last looked, of those drivers whose calls are shown: one list for the host,
 * because a task that nobody waits for goes on while another call is made.
 */
export class DriverOps {
  private ops: DriverOp[] = [];

  note(op: DriverOp): void {
    this.ops.push(op);
  }

  /**
   * Takes what there is into the effects of a call.
   *
   * @param caller the task that somebody waits for, if that makes the call; what others did is `by` a worker
   */
  take(into: { effects: DriverEffects | null }, caller: Task | null): void {
    if (this.ops.length === 0) return;
    into.effects ??= {};
    const { effects } = into;
    let seq = 0;
    for (const { list, entry, task, worker } of this.ops) {
      const by = worker || task !== caller ? { by: 'worker' } : {};
      if (list === 'vfio') {
        effects.vfio ??= [];
        effects.vfio.push({ seq, ...entry, ...by } as VfioCall);
      } else if (list === 'instructions') {
        effects.instructions ??= [];
        effects.instructions.push({ seq, ...entry, ...by } as ApInstructionShown);
      } else if (list === 'unpinnedNotHeld') {
        effects.unpinnedNotHeld ??= [];
        effects.unpinnedNotHeld.push(entry as NonNullable<DriverEffects['unpinnedNotHeld']>[number]);
        continue;
      }
      seq++;
    }
    this.ops = [];
  }
}
