import type { Task } from '../kernel/task.ts';
import type { Canonical } from './canonical.ts';
import { Form, NOBODY, Patch, SHARED } from './form.ts';
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

/** What is known of a state's hash: for each order of the devices its low half and its high half, and its form. */
export interface Known {
  readonly hashes: readonly number[];
  /** Null where calls are under way, whose histories count. */
  readonly forms: readonly PlacedForm[] | null;
}

/** How a state's forms differ from another's, for each order of the devices: in a few objects; or the whole form. */
export type KnownDifference = readonly (Patch | Form)[];

/** The canonical hashes of states: what is known of one is made use of for those that differ from it in a few objects. */
export class Fingerprints {
  private readonly at: Fingerprint = { low: 0, high: 0 };
  private changed: number[] = [];

  /** @param underway puts in what tells a call on its way apart, for an order by its number */
  constructor(
    private readonly canonical: Canonical,
    private readonly orders: readonly Order[],
    private readonly underway: (task: Task, order: number) => void,
  ) {}

  /**
   * The least of a state's hashes for each order of the devices that are alike; good until the next one is asked for.
   *
   * @param forms of the state that it differs from by `changes`; null: of none
   */
  least(forms: Known['forms'], changes: Changes): Fingerprint {
    const { at, orders, canonical } = this;
    for (let i = 0; i < orders.length; i++) {
      const isPatched =
        forms !== null &&
        this.findChanged(forms[i]!, changes) &&
        canonical.patch(forms[i]!.form, orders[i]!, this.changed);
      if (!isPatched) this.hashFor(i);
      const { low, high } = canonical;
      if (i > 0 && (high > at.high || (high === at.high && low >= at.low))) continue;
      at.low = low;
      at.high = high;
    }
    return at;
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
    return this.with({ hashes: [], forms: null }, [this.orders.map((order) => this.formFor(order))], memento);
  }

  /** How a state without calls under way differs, by `changes`, from one with these forms; null: it has none. */
  difference(forms: Known['forms'], changes: Changes): KnownDifference {
    return this.orders.map((order, i) => {
      const placed = forms?.[i];
      if (placed && this.findChanged(placed, changes)) {
        const patch = new Patch(this.changed.slice());
        if (this.canonical.patch(placed.form, order, patch.numbers, patch)) return patch;
      }
      return this.formFor(order);
    });
  }

  private formFor(order: Order): Form {
    const form = new Form();
    this.canonical.of(order, () => {}, form);
    return form;
  }

  /** What is known of a state that differs from another by some differences, one after the other; and its memento. */
  with({ forms }: Known, differences: readonly KnownDifference[], memento: Memento): Known {
    const hashes: number[] = [];
    const placed: PlacedForm[] = [];
    for (const i of this.orders.keys()) {
      let owners = forms?.[i]?.owners ?? [];
      let form: Form | null = null;
      for (const difference of differences) {
        const its = difference[i]!;
        if (its instanceof Form) {
          form = new Form(its);
          owners = [];
        } else {
          form ??= new Form(forms![i]!.form);
          form.apply(its);
        }
      }
      form ??= forms![i]!.form;
      placed.push({ form, owners: ownersOf(form, memento, owners) });
      hashes.push(form.sumLow, form.sumHigh);
    }
    return { hashes, forms: placed };
  }

  /** Finds which objects of a form hold something else; false where not they alone do. */
  private findChanged({ owners }: PlacedForm, { count, numbers }: Changes): boolean {
    const { changed } = this;
    changed.length = 0;
    for (let i = 0; i < count; i++) {
      const owner = owners[numbers[i]!]!;
      if (owner === SHARED) return false;
      if (owner !== NOBODY && !changed.includes(owner)) changed.push(owner);
    }
    return true;
  }
}

/** Of which objects of a form those of a memento are part; `known` of the first ones. */
function ownersOf({ numbers, parts }: Form, memento: Memento, known: readonly number[]): readonly number[] {
  if (known.length === memento.size) return known;
  const owners = known.slice();
  for (let number = known.length; number < memento.size; number++) {
    const object = memento.objectAt(number);
    owners.push(numbers.get(object) ?? parts.get(object) ?? owners[memento.parentOf(number)] ?? NOBODY);
  }
  return owners;
}
