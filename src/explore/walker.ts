import type { KernelStep, Task } from '../kernel/task.ts';
import type { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { atOnce } from '../turns.ts';
import type { Canonical } from './canonical.ts';
import { type Fingerprint, Fingerprints, hashesOf } from './fingerprints.ts';
import type { Form, Patch } from './form.ts';
import type { Finding } from './goals.ts';
import { Changes, Memento } from './memento.ts';
import { Kept, type Place, Rest } from './place.ts';
import type { Action, Scene } from './scene.ts';
import { type History, type SetScene, type Step, setScene } from './set-scene.ts';
import type { Watch } from './watch.ts';

/** Files of one device that are open at once at most: a second one may make a difference, a third makes none. */
const FILES = 2;

/**
 * Goes from state to state of a scene, on one machine.
 *
 * A state is reached by writing the values that the machine's objects have in it (a memento), where it was kept when it
 * was found; otherwise from the last place that the way to it has in common with the way the walker has come, by taking
 * the rest anew. Measured on one driver, five calls from the start: 11 us with the call before it, against 146 us for a
 * new machine that is led along the whole way, and 508 us for a snapshot that is restored. A generator cannot be copied:
 * to a place with calls under way one goes back only as long as none of them has gone on; otherwise to one before it.
 */
export class Walker {
  /** What the last action came to. */
  readonly findings: Finding[];
  /** The machine it walks on: to look at. */
  readonly machine: Machine;
  private readonly histories: Map<Task, History>;
  private readonly canonical: Canonical;
  private readonly fingerprints: Fingerprints;
  private readonly watch: Watch;
  private readonly steps: readonly Step[];
  private readonly mappingsAtMost: number;
  private readonly path: number[] = [];
  /** On the way to where it is, that one included: null where it has not been. */
  private readonly places: (Place | null)[] = [];
  /** What has changed since the last place. */
  private readonly changes = new Changes();

  /** @param set the scene, as it was set for nobody else */
  constructor(
    readonly scene: Scene,
    set: SetScene = atOnce(setScene(scene)),
  ) {
    const { machine, findings, histories, graph, canonical, orders, watch } = set;
    this.machine = machine;
    this.findings = findings;
    this.histories = histories;
    this.canonical = canonical;
    this.watch = watch;
    this.fingerprints = new Fingerprints(canonical, orders, watch.objects, (task, order) =>
      this.underway(task, order),
    );
    this.steps = stepsOf(scene.actions);
    this.mappingsAtMost = this.mappings + scene.mappings;
    const memento = Memento.of(graph);
    this.places.push({ memento, known: this.fingerprints.first(memento), underway: [], kept: null });
  }

  /** Mappings of every container. */
  private get mappings(): number {
    let count = 0;
    for (const { view } of this.machine.kernel.containers.values()) count += view?.mappingCount ?? 0;
    return count;
  }

  private files(device: string): number {
    return this.machine.kernel.devices.get(device)?.openCount ?? 0;
  }

  /** How far from the start it is. */
  get depth(): number {
    return this.path.length;
  }

  /** The first place. */
  get start(): Place {
    return this.places[0]!;
  }

  /** The last place. */
  private get here(): Place {
    return this.places[this.path.length]!;
  }

  /** Objects that a memento of where it is holds. */
  get objects(): number {
    return this.here.memento.size;
  }

  /** Goes to the state at the end of a path of actions, from which `take` can be called again and again. */
  goTo(path: readonly number[]): void {
    let shared = 0;
    while (shared < path.length && path[shared] === this.path[shared]) shared++;
    while (!this.goBackTo(shared)) shared--;
    for (let i = shared; i < path.length; i++) {
      const action = path[i]!;
      this.take(action);
      const kept = this.keep(action);
      const place = kept ? this.placeOf(kept) : this.placeUnderway();
      this.path.push(action);
      this.places.push(place);
    }
  }

  /** Where an action, the last one, led, for `goToKept`; null where calls are under way. */
  keep(action: number): Kept | null {
    if (this.isUnderway) return null;
    const { here, changes } = this;
    const forms = this.fingerprints.formsAfter(here.known.forms, changes);
    return new Kept(this.standing, action, forms, here.memento.difference(changes));
  }

  private placeOf(kept: Kept): Place {
    const { from, differences } = kept.whole();
    const memento = from.memento.with(differences);
    kept.known = this.fingerprints.with(kept.forms, memento, kept.knownBefore);
    return { memento, known: kept.known, underway: [], kept };
  }

  /** Where the last action led, with calls under way. */
  private placeUnderway(): Place {
    const { memento } = this.here;
    return {
      memento: memento.with([memento.difference(this.changes)]),
      known: this.fingerprints.underwayAt(),
      underway: [...this.histories.keys()].map(({ step }) => {
        const rest = step as unknown as Rest;
        return { rest, times: rest.times };
      }),
      kept: null,
    };
  }

  /** Goes to a state that was kept, at the end of a path of actions. */
  goToKept(kept: Kept, path: readonly number[]): void {
    const wasThere = kept.difference !== null;
    if (!wasThere) this.findOut(kept, path);
    const place = this.placeOf(kept);
    if (wasThere) this.backTo(place);
    this.path.length = 0;
    this.path.push(...path);
    this.places.length = 1;
    while (this.places.length < path.length) this.places.push(null);
    this.places.push(place);
  }

  /** Goes to a state that was kept without anybody having been there, and takes down what it is. */
  private findOut(kept: Kept, path: readonly number[]): void {
    const before = path.slice(0, -1);
    if (kept.from instanceof Kept) this.goToKept(kept.from, before);
    else this.goTo(before);
    this.take(kept.action);
    const { forms, difference } = this.keep(kept.action)!;
    kept.forms = forms;
    kept.difference = difference;
  }

  /** Where it is, as it was kept if it was. */
  get standing(): Place | Kept {
    return this.here.kept ?? this.here;
  }

  /** The forms of where it is, for each order of the devices; null where calls are under way. */
  get forms(): readonly Form[] | null {
    return this.here.known.forms?.map(({ form }) => form) ?? null;
  }

  /** The watched objects that the last action has looked into. */
  get looked(): readonly number[] {
    return this.watch.looked;
  }

  /** Those that it has added to besides. */
  get added(): readonly number[] {
    return this.watch.added;
  }

  /** In what the state differs whose hash was asked for last, for each order of the devices; null: not in a few objects. */
  get patches(): readonly Patch[] | null {
    return this.fingerprints.lastPatches;
  }

  private backTo({ memento }: Place): void {
    memento.compare(this.changes);
    memento.restore(this.changes);
    this.changes.count = 0;
  }

  /** Goes back to a place on the way; false where it has not been, or calls that were under way there have gone on. */
  private goBackTo(depth: number): boolean {
    const place = this.places[depth];
    if (place === undefined) throw new Error(`there is no way back to depth ${depth}`);
    if (!place || place.underway.some(({ rest, times }) => rest.times !== times)) return false;
    this.backTo(place);
    this.path.length = depth;
    this.places.length = depth + 1;
    return true;
  }

  /** Back to where the last `take` began. */
  back(): void {
    const { path, changes } = this;
    const { memento, underway } = this.here;
    if (underway.length > 0) {
      if (!this.goBackTo(path.length)) this.goTo(path.slice());
      return;
    }
    memento.restore(changes);
    changes.count = 0;
  }

  /**
   * Takes an action.
   *
   * @returns whether anything has changed. Where nothing has one need not go back
   */
  take(number: number): boolean {
    const { call, when } = this.scene.actions[number]!;
    const { kernel } = this.machine;
    const { scheduler } = kernel;
    this.findings.length = 0;
    this.changes.count = 0;
    this.watch.clear();
    if (when) {
      const mode = (task: Task) => task.callback?.mode === when && task.callback.device === call.device;
      if (!scheduler.pending.some(mode)) return false;
    } else if (scheduler.pendingCount >= this.scene.underway) return false;
    if (call.call === 'map-dma' && this.mappings >= this.mappingsAtMost) return false;
    if (call.call === 'open-device' && this.files(call.device as string) >= FILES) return false;
    const place = this.here;
    const { callCount } = kernel;
    const { stackTraceLimit } = Error;
    // A BUG_ON is an error that is thrown, and nobody looks at its stack.
    Error.stackTraceLimit = 0;
    this.watch.begin();
    try {
      this.machine.start(call);
    } catch (error) {
      if (error instanceof Refused) return false;
      throw error;
    } finally {
      this.watch.end();
      Error.stackTraceLimit = stackTraceLimit;
    }
    const isUnderway = this.histories.size > 0 || scheduler.pendingCount > 0;
    if (isUnderway) this.noteUnderway(number, place);
    // That a call was made at all is not a change.
    else kernel.callCount = callCount;
    place.memento.compare(this.changes);
    return isUnderway || this.hasChanged || this.findings.length > 0;
  }

  /** Whether the last action left anything otherwise than it was. */
  get hasChanged(): boolean {
    return this.changes.count > 0;
  }

  /** Keeps the histories of calls under way. */
  private noteUnderway(number: number, { known: before }: Place): void {
    const { histories } = this;
    const pending = new Set(this.machine.kernel.scheduler.pending);
    for (const task of histories.keys()) if (!pending.has(task)) histories.delete(task);
    const step = this.steps[number]!;
    const hashes = hashesOf(before);
    for (const task of pending) {
      const known = histories.get(task);
      if (known) known.since.push(step);
      else {
        histories.set(task, { hashes, since: [step] });
        task.step = new Rest(task.step!) as unknown as KernelStep<unknown>;
      }
    }
  }

  /** Whether a call is under way. */
  get isUnderway(): boolean {
    return this.histories.size > 0;
  }

  private underway(task: Task, order: number): void {
    const history = this.histories.get(task);
    if (!history) return;
    const { canonical } = this;
    canonical.word(history.hashes[order * 2]!);
    canonical.word(history.hashes[order * 2 + 1]!);
    for (const { what, device } of history.since) {
      canonical.word(what);
      if (device !== null) canonical.device(device);
    }
  }

  /** The canonical hash of where it is; good until the next one is asked for. */
  fingerprint(): Fingerprint {
    return this.fingerprints.least(this.isUnderway ? null : this.here.known.forms, this.changes);
  }
}

/** Actions by what they are: those of devices that are alike are the same on different devices. */
function stepsOf(actions: readonly Action[]): Step[] {
  const numbers = new Map<string, number>();
  return actions.map(({ call: { device, ...rest } }) => {
    const text = JSON.stringify(rest);
    const what = numbers.get(text) ?? numbers.size;
    numbers.set(text, what);
    return { what, device: typeof device === 'string' ? device : null };
  });
}
