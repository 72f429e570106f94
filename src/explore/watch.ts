/** Objects that are watched at most. */
export const BITS = 30;
/** Fields of a driver that no action of a scene changes. */
const CONSTANT = 'config';

/** Notes into which of some objects a call looks, in the order in which it first does. */
export class Watch {
  /** Their numbers. */
  readonly looked: number[] = [];
  /** And to which it adds without a look. */
  readonly added: number[] = [];
  /** A bit for each of those that have not been looked into; none while nobody watches. */
  private unseen = 0;
  private readonly all: number;

  /** @param objects of fields, or sets; whoever gets at what is in them comes through one of their own fields or methods */
  constructor(readonly objects: readonly object[]) {
    if (objects.length > BITS)
      throw new Error(`${objects.length} objects are to be watched, of ${BITS} at most`);
    this.all = 2 ** objects.length - 1;
    for (const [number, object] of objects.entries()) {
      const look = () => this.look(number);
      if (object instanceof Set) watchSet(object, look, () => this.add(number));
      else watchFields(object, look);
    }
  }

  begin(): void {
    this.clear();
    this.unseen = this.all;
  }

  clear(): void {
    this.looked.length = 0;
    this.added.length = 0;
  }

  end(): void {
    this.unseen = 0;
  }

  private look(number: number): void {
    if ((this.unseen & (1 << number)) === 0) return;
    this.unseen &= ~(1 << number);
    this.looked.push(number);
  }

  private add(number: number): void {
    if ((this.unseen & (1 << number)) !== 0 && !this.added.includes(number)) this.added.push(number);
  }
}

/**
 * Puts accessors in the place of an object's fields. Those are taken away from the last one on: so the engine finds its
 * fields as fast as before, where it would look each up by its name otherwise.
 */
function watchFields(object: object, look: () => void): void {
  const fields = object as Record<string, unknown>;
  const held = Object.entries(fields);
  for (const [key] of held.toReversed()) delete fields[key];
  for (const [key, first] of held) {
    if (key === CONSTANT) {
      fields[key] = first;
      continue;
    }
    let value = first;
    Object.defineProperty(object, key, {
      enumerable: true,
      get() {
        look();
        return value;
      },
      set(to) {
        look();
        value = to;
      },
    });
  }
}

function watchSet(set: Set<unknown>, look: () => void, add: () => void): void {
  const { prototype } = Set;
  for (const name of Reflect.ownKeys(prototype)) {
    const { value, get } = Object.getOwnPropertyDescriptor(prototype, name)!;
    if (name === 'constructor') continue;
    if (typeof value === 'function') {
      const note = name === 'add' ? add : look;
      // None takes more.
      const watched = (first: unknown, second: unknown) => {
        note();
        return value.call(set, first, second);
      };
      Object.defineProperty(set, name, { value: watched });
    } else if (name === 'size') {
      const watched = () => {
        look();
        return get!.call(set);
      };
      Object.defineProperty(set, name, { get: watched });
    }
  }
}
