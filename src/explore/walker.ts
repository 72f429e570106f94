import { MODELS } from '../drivers/index.ts';
import type { KernelStep, Task } from '../kernel/task.ts';
import { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { knownCall } from '../machine/table.ts';
import { Canonical } from './canonical.ts';
import { adviceFound, type Finding, findingsOf } from './goals.ts';
import { Changes, Graph, Memento, reachableFrom } from './memento.ts';
import type { Action, Scene } from './scene.ts';
import { Form, NOBODY, Order, SHARED } from './state-hash.ts';

/** Files of one device that are open at once at most: a second one may make a difference, a third makes none. */
const FILES = 2;

/** A place on the way to where the walker is: the state before an action, or the last one. */
interface Place {
  readonly memento: Memento;
  /** Calls under way there, and how often each had gone on. */
  readonly underway: readonly { readonly rest: Rest; readonly times: number }[];
  /** The state's hash for each order of the devices: low half, high half. */
  readonly hashes: readonly number[];
  /** Its canonical form for each order of the devices; null where calls are under way, whose histories count. */
  readonly forms: readonly PlacedForm[] | null;
}

/** A form, and by number in the memento of which of its objects each one is part. */
interface PlacedForm {
  readonly form: Form;
  readonly owners: readonly number[];
}

/** The rest of a call on its way, which counts how often it goes on. */
class Rest {
  times = 0;

  constructor(private readonly step: KernelStep<unknown>) {}

  get [Symbol.toStringTag](): string {
    return 'Generator';
  }

  next(): IteratorResult<unknown, unknown> {
    this.times++;
    return this.step.next();
  }
}

/** What tells a call under way apart: the state it began in, for each order of the devices, and what was done since. */
interface History {
  readonly hashes: readonly number[];
  readonly since: Step[];
}

/** An action by what it is, and by the device it is made on. */
interface Step {
  readonly what: number;
  readonly device: string | null;
}

/** A hash of 64 bits in two halves. */
interface Fingerprint {
  low: number;
  high: number;
}

/**
 * Goes from state to state of a scene, on one machine.
 *
 * A state is reached by going back to the last place that the way to it has in common with the way the walker has come,
 * and taking the rest anew. Going back writes the values that the machine's objects had there (a memento). Measured on
 * one driver, five calls from the start: 11 us with the call before it, against 146 us for a new machine that is led
 * along the whole way, and 508 us for a snapshot that is restored. A generator cannot be copied: to a place with calls
 * under way one goes back only as long as none of them has gone on; otherwise to one before it.
 */
export class Walker {
  /** What the last action came to. */
  findings: Finding[] = [];
  /** The state's canonical hash, once `fingerprint` has been asked for it. */
  readonly at: Fingerprint = { low: 0, high: 0 };
  /** The machine it walks on: to look at. */
  readonly machine: Machine;
  private readonly histories = new Map<Task, History>();
  private readonly graph: Graph;
  private readonly canonical: Canonical;
  private readonly orders: readonly Order[];
  private readonly steps: readonly Step[];
  private readonly mappingsAtMost: number;
  private readonly path: number[] = [];
  private readonly places: Place[] = [];
  /** What has changed since the last place. */
  private readonly changes = new Changes();

  constructor(readonly scene: Scene) {
    this.machine = new Machine(scene.gen, undefined, {
      listeners: [
        {
          splat: (task, event) => this.findings.push(...findingsOf(task, event)),
          advisory: (_task, advisory) => this.findings.push(...adviceFound(advisory)),
        },
      ],
    });
    this.machine.kernel.hasWords = false;
    for (const call of scene.setup) {
      const { answer } = this.machine.start(call);
      if (answer?.end.how !== 'returned' || typeof answer.end.value === 'string') {
        throw new Error(`${JSON.stringify(call)}: ${JSON.stringify(answer?.end)} ${answer?.why ?? ''}`);
      }
    }
    const { kernel } = this.machine;
    const outside = this.whatNeverChanges();
    this.graph = new Graph({ machine: this.machine, histories: this.histories }, outside);
    this.canonical = new Canonical(kernel, outside, [this.machine.faults], scene.isAboutFiles);
    this.orders = ordersOf(scene).map((ids) => new Order(kernel, ids));
    this.steps = stepsOf(scene.actions);
    this.mappingsAtMost = this.mappings + scene.mappings;
    this.places.push(this.placeAt(Memento.of(this.graph), null));
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

  private whatNeverChanges(): Set<object> {
    const { gen, actions, setup } = this.scene;
    const names = [...actions.map(({ call }) => call.call), ...setup.map(({ call }) => call)];
    const { limits, listeners, options } = this.machine as unknown as Record<string, object>;
    const known = names.map((name) => knownCall(name)!);
    const eras = MODELS.flatMap((model) => [model.eras, ...(model.parts ?? [])]);
    return reachableFrom([gen, ...eras, limits!, listeners!, options!, ...known, actions, setup]);
  }

  /** How far from the start it is. */
  get depth(): number {
    return this.path.length;
  }

  /** Objects that a memento of where it is holds. */
  get objects(): number {
    return this.places.at(-1)!.memento.size;
  }

  /** Goes to the state at the end of a path of actions, from which `take` can be called again and again. */
  goTo(path: readonly number[]): void {
    let shared = 0;
    while (shared < path.length && path[shared] === this.path[shared]) shared++;
    while (!this.goBackTo(shared)) shared--;
    for (let i = shared; i < path.length; i++) {
      const action = path[i]!;
      this.take(action);
      this.path.push(action);
      const last = this.places.at(-1)!;
      this.places.push(this.placeAt(last.memento.next(this.changes), last));
    }
  }

  /** Goes back to a place on the way; false where calls that were under way there have gone on. */
  private goBackTo(depth: number): boolean {
    const place = this.places[depth];
    if (!place) throw new Error(`there is no way back to depth ${depth}`);
    if (place.underway.some(({ rest, times }) => rest.times !== times)) return false;
    place.memento.compare(this.changes);
    place.memento.restore(this.changes);
    this.changes.count = 0;
    this.path.length = depth;
    this.places.length = depth + 1;
    return true;
  }

  /** Back to where the last `take` began. */
  back(): void {
    const { path, places, changes } = this;
    const { memento, underway } = places[path.length]!;
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
    const { pending } = scheduler;
    if (when) {
      const mode = (task: Task) => task.callback?.mode === when && task.callback.device === call.device;
      if (!pending.some(mode)) return false;
    } else if (pending.length >= this.scene.underway) return false;
    if (call.call === 'map-dma' && this.mappings >= this.mappingsAtMost) return false;
    if (call.call === 'open-device' && this.files(call.device as string) >= FILES) return false;
    const place = this.places.at(-1)!;
    const { callCount } = kernel;
    try {
      this.machine.start(call);
    } catch (error) {
      if (error instanceof Refused) return false;
      throw error;
    }
    const isUnderway = this.histories.size > 0 || scheduler.pending.length > 0;
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
  private noteUnderway(number: number, { hashes }: Place): void {
    const { histories } = this;
    const pending = new Set(this.machine.kernel.scheduler.pending);
    for (const task of histories.keys()) if (!pending.has(task)) histories.delete(task);
    const step = this.steps[number]!;
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

  /** The place where it is. @param last the one before, from which `changes` tells the difference */
  private placeAt(memento: Memento, last: Place | null): Place {
    const underway = [...this.histories.keys()].map(({ step }) => {
      const rest = step as unknown as Rest;
      return { rest, times: rest.times };
    });
    const hashes: number[] = [];
    const forms: PlacedForm[] = [];
    for (const i of this.orders.keys()) {
      if (underway.length > 0) this.hashFor(i);
      else forms.push(this.formFor(i, memento, last));
      hashes.push(this.canonical.low, this.canonical.high);
    }
    return { memento, underway, hashes, forms: underway.length > 0 ? null : forms };
  }

  /** The form of the state where it is. */
  private formFor(i: number, memento: Memento, last: Place | null): PlacedForm {
    const order = this.orders[i]!;
    const placed = last?.forms?.[i];
    const changed = placed ? this.changedIn(placed) : null;
    if (placed && changed) {
      const form = new Form(placed.form);
      if (this.canonical.patch(placed.form, order, changed, form)) {
        return { form, owners: ownersOf(form, memento, placed.owners) };
      }
    }
    const form = new Form();
    this.canonical.of(order, () => {}, form);
    return { form, owners: ownersOf(form, memento) };
  }

  /** Which objects of a form hold something else; null where not they alone do. */
  private changedIn({ owners }: PlacedForm): number[] | null {
    const { count, numbers } = this.changes;
    const changed: number[] = [];
    for (let i = 0; i < count; i++) {
      const owner = owners[numbers[i]!]!;
      if (owner === SHARED) return null;
      if (owner !== NOBODY && !changed.includes(owner)) changed.push(owner);
    }
    return changed;
  }

  private hashFor(i: number): void {
    this.canonical.of(this.orders[i]!, (task) => this.underway(task, i));
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

  /** Works out the canonical hash of where it is: the least of those for each order of the devices that are alike. */
  fingerprint(): Fingerprint {
    const { at, orders, canonical } = this;
    const { forms } = this.places.at(-1)!;
    const isUnderway = this.histories.size > 0;
    for (let i = 0; i < orders.length; i++) {
      const placed = isUnderway ? undefined : forms?.[i];
      const changed = placed ? this.changedIn(placed) : null;
      if (!changed || !canonical.patch(placed!.form, orders[i]!, changed)) this.hashFor(i);
      const { low, high } = canonical;
      if (i > 0 && (high > at.high || (high === at.high && low >= at.low))) continue;
      at.low = low;
      at.high = high;
    }
    return at;
  }
}

/** Of which objects of a form those of a memento are part; `known` of the first ones. */
function ownersOf({ numbers }: Form, memento: Memento, known: readonly number[] = []): readonly number[] {
  if (known.length === memento.size) return known;
  const owners = known.slice();
  for (let number = known.length; number < memento.size; number++) {
    owners.push(numbers.get(memento.objectAt(number)) ?? owners[memento.parentOf(number)] ?? NOBODY);
  }
  return owners;
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

/** Every order in which the devices may be numbered. */
function ordersOf({ devices, alike }: Scene): string[][] {
  let orders: string[][] = [[...devices]];
  for (const group of alike) {
    orders = orders.flatMap((order) =>
      permutations(group).map((permuted) =>
        order.map((id) => (group.includes(id) ? permuted[group.indexOf(id)]! : id)),
      ),
    );
  }
  return orders;
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
