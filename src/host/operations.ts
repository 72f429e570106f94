import type { Reply } from '../machine/answer.ts';
import { Refused } from '../machine/refused.ts';

/** A call that was answered 202: done once it has its reply. */
export interface Operation {
  readonly id: string;
  reply: Reply | null;
  readonly settled: Promise<Reply>;
}

/** The calls that were answered 202, by id; the oldest finished ones are forgotten. */
export class Operations {
  private readonly byId = new Map<string, Operation>();
  private count = 0;

  /** `capacity` is the number of operations kept, finished ones included. */
  constructor(private readonly capacity: number) {}

  /** Keeps a call that is under way. */
  add(settled: Promise<Reply>): Operation {
    const operation: Operation = { id: `op${this.count++}`, reply: null, settled };
    void settled.then((reply) => {
      operation.reply = reply;
    });
    this.byId.set(operation.id, operation);
    if (this.byId.size > this.capacity) this.forgetOldest();
    return operation;
  }

  get(id: string): Operation {
    const operation = this.byId.get(id);
    if (!operation) throw Refused.notFound('operation', id);
    return operation;
  }

  private forgetOldest(): void {
    for (const [id, operation] of this.byId) {
      if (!operation.reply) continue;
      this.byId.delete(id);
      return;
    }
  }
}
