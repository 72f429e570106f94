import type { RigView } from '../../schemas/views.ts';
import { Refused } from '../machine/refused.ts';
import { inOneTurn } from '../turns.ts';
import type { Rig } from './rig.ts';

/** The rig of a request that names none. */
export const DEFAULT_RIG = 'default';

/** Makes a rig of a name. */
type MakeRig = (name: string, now: number) => Rig;

/** The rigs of a service, by name; each is made on first use. */
export class Rigs {
  private readonly byName = new Map<string, Rig>();

  /**
   * @param capacity how many there may be at once
   * @param idleMs after how long without a request one may be dropped to make room or by sweep(); 0: never
   */
  constructor(
    private readonly make: MakeRig,
    private readonly capacity: number,
    private readonly idleMs: number,
    private readonly clock: () => number = () => performance.now(),
  ) {}

  has(name: string): boolean {
    return this.byName.has(name);
  }

  /** The rig of a name, made where there is none yet. */
  use(name: string): Rig {
    const now = this.clock();
    let rig = this.byName.get(name);
    if (!rig) {
      if (this.byName.size >= this.capacity) this.sweep();
      // However many names somebody thinks of, the default rig has its place.
      const foreign = this.byName.size - (this.byName.has(DEFAULT_RIG) ? 1 : 0);
      if (name !== DEFAULT_RIG && foreign >= this.capacity) throw Refused.tooMany('rigs', this.capacity);
      rig = this.make(name, now);
      this.byName.set(name, rig);
    }
    rig.lastUsed = now;
    return rig;
  }

  /** More of a request that began earlier has come. */
  used(rig: Rig): void {
    rig.lastUsed = this.clock();
  }

  /** Drops a rig; calls under way in it are answered with a problem, and its searches end. */
  drop(name: string): void {
    const rig = this.byName.get(name);
    if (!rig) throw Refused.notFound('rig', name);
    this.byName.delete(name);
    rig.close('the rig was deleted');
  }

  /** Drops every rig that has been idle too long, and that has no call or search under way, stream or wait. */
  sweep(): void {
    if (this.idleMs === 0) return;
    const now = this.clock();
    for (const rig of [...this.byName.values()]) {
      if (!rig.isBusy && now - rig.lastUsed >= this.idleMs) this.drop(rig.name);
    }
  }

  /** Every rig, oldest first. */
  list(): Rig[] {
    return [...this.byName.values()];
  }

  /** What `GET /v1/rigs` shows. */
  describe(): RigView[] {
    const now = this.clock();
    return this.list().map((rig) => rig.describe(now));
  }

  /** Ends every rig, because the service does. */
  close(why: string): void {
    inOneTurn(() => {
      for (const rig of this.list()) rig.close(why);
    });
  }
}
