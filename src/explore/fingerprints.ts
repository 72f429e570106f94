import type { Task } from '../kernel/task.ts';
import type { Canonical } from './canonical.ts';
import { type Form, NOBODY, Patch, SHARED } from './form.ts';
import type { Changes, Memento } from './memento.ts';
import type { Order } from './state-hash.ts';

/** A hash of 64 bits in two halves. */
export interface Fingerprint {
  low: number;
  high: number;
}

/** A form, and by number in the memento of which of its objects each one is part. */
interface PlacedForm {
  readonly form: Form;
  readonly owners: readonly number[];
}

/** What is known of a state's hash, for each order of the devices: its low half and its high half, or its form. */
export interface Known {
  readonly hashes: readonly number[] | null;
  /** Null where calls are under way, whose histories count. */
  readonly forms: readonly PlacedForm[] | null;
}

/** For each order of the devices the low half and the high half of a state's hash. */
export function hashesOf({ hashes, forms }: Known): readonly number[] {
  return hashes ?? forms!.flatMap(({ form }) => [form.sumLow, form.sumHigh]);
}

/** The canonical hashes of states: what is known of one is made use of for those that differ from it in a few objects. */
export class Fingerprints {
  private readonly at: Fingerprint = { low: 0, high: 0 };
  private readonly patches: readonly Patch[];
  private arePatched = false;
  /** Numbers of the objects that have changed. */
  private readonly changed: number[] = [];

  /**
   * @param watched objects that hardly a call looks into
   * @param underway puts in what tells a call on its way apart, for an order by its number
   */
  constructor(
    private readonly canonical: Canonical,
    private readonly orders: readonly Order[],
    private readonly watched: readonly object[],
    private readonly underway: (task: Task, order: number) => void,
  ) {
    this.patches = orders.map(() => new Patch());
  }

  /**
   * The least of a state's hashes for each order of the devices that are alike; good until the next one is asked for.
   *
   * @param forms of the state that it differs from by `changes`; null: of none
   */
  least(forms: Known['forms'], changes: Changes): Fingerprint {
    const { at, orders, canonical } = this;
    this.arePatched = true;
    for (let i = 0; i < orders.length; i++) {
      if (!forms || !this.isPatched(forms[i]!, i, changes, false)) {
        this.arePatched = false;
        this.hashFor(i);
      }
      const { low, high } = canonical;
      if (i > 0 && !isLess(low, high, at)) continue;
      at.low = low;
      at.high = high;
    }
    return at;
  }

  /** In what the state whose hash was asked for last differs, for each order of the devices; null: not in a few objects. */
  get lastPatches(): readonly Patch[] | null {
    return this.arePatched ? this.patches : null;
  }

  /** Whether a form differs in a few objects alone: then `patches` says in what. */
  private isPatched({ form, owners }: PlacedForm, i: number, changes: Changes, isKept: boolean): boolean {
    const { changed } = this;
    return (
      findChanged(owners, changes, changed) &&
      this.canonical.patchOf(form, this.orders[i]!, changed, this.patches[i]!, isKept)
    );
  }

  private hashFor(i: number): void {
    this.canonical.of(this.orders[i]!, (task) => this.underway(task, i));
  }

  /** What is known of a state with calls under way. */
  underwayAt(): Known {
    const hashes: number[] = [];
    for (const i of this.orders.keys()) {
      this.hashFor(i);
      hashes.push(this.canonical.low, this.canonical.high);
    }
    return { hashes, forms: null };
  }

  /** What is known of the first state. */
  first(memento: Memento): Known {
    return this.with(
      this.orders.map((order) => this.formFor(order)),
      memento,
      null,
    );
  }

  /** The forms of a state without calls under way, which differs by `changes` from one with these; null: it has none. */
  formsAfter(forms: Known['forms'], changes: Changes): Form[] {
    return this.orders.map((order, i) => {
      const placed = forms?.[i];
      if (!placed || !this.isPatched(placed, i, changes, true)) return this.formFor(order);
      const form = placed.form.copy();
      form.apply(this.patches[i]!);
      return form;
    });
  }

  private formFor(order: Order): Form {
    const form = this.canonical.formOf(order, () => {});
    const { numbering } = form;
    numbering.watched = this.watched.map((object) => numbering.numbers.get(object) ?? NOBODY);
    return form;
  }

  /** What is known of a state with these forms and this memento, which has come of a state of which that is known. */
  with(forms: readonly Form[], memento: Memento, before: Known | null): Known {
    const placed = forms.map((form, i) => {
      const known = before?.forms?.[i];
      const owners = known?.form.numbering === form.numbering ? known.owners : [];
      return { form, owners: ownersOf(form, memento, owners) };
    });
    return { hashes: null, forms: placed };
  }
}

/** Finds which objects of a form hold something else; false where not they alone do. */
function findChanged(owners: readonly number[], { count, numbers }: Changes, changed: number[]): boolean {
  changed.length = 0;
  for (let i = 0; i < count; i++) {
    const owner = owners[numbers[i]!]!;
    if (owner === SHARED) return false;
    if (owner !== NOBODY && !changed.includes(owner)) changed.push(owner);
  }
  return true;
}

/** Whether a hash is less than another. */
export function isLess(low: number, high: number, than: Fingerprint): boolean {
  return high < than.high || (high === than.high && low < than.low);
}

/** Of which objects of a form those of a memento are part; `known` of the first ones. */
function ownersOf(
  { numbering: { numbers, parts } }: Form,
  memento: Memento,
  known: readonly number[],
): readonly number[] {
  if (known.length === memento.size) return known;
  const owners = known.slice();
  for (let number = known.length; number < memento.size; number++) {
    const object = memento.objectAt(number);
    owners.push(numbers.get(object) ?? parts.get(object) ?? owners[memento.parentOf(number)] ?? NOBODY);
  }
  return owners;
}
