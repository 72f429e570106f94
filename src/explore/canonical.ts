import { PageTree } from '../drivers/gvt-g/page-tree.ts';
import { SyntheticDriver } from '../drivers/synthetic/driver.ts';
import { OwnPins } from '../drivers/synthetic/own-pins.ts';
import { EmulatedMemory } from '../kernel/emulated-memory.ts';
import { FileTable } from '../kernel/files.ts';
import { Ioas } from '../kernel/iommufd/ioas.ts';
import type { IoptPages } from '../kernel/iommufd/iopt-pages.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Lock } from '../kernel/lock.ts';
import { Mm } from '../kernel/mm.ts';
import { PinShadow } from '../kernel/pin-shadow.ts';
import { Process } from '../kernel/process.ts';
import { NIL } from '../kernel/rb-links.ts';
import { Scheduler } from '../kernel/scheduler.ts';
import { Task } from '../kernel/task.ts';
import { Iommu } from '../kernel/type1/iommu.ts';
import { Device } from '../kernel/vfio/device.ts';
import { Group } from '../kernel/vfio/group.ts';
import { History } from '../kernel/vfio/history.ts';
import { WaitQueue } from '../kernel/wait-queue.ts';
import { Faults } from '../machine/faults.ts';
import { Hash } from './hash.ts';
import { shapeOf } from './shapes.ts';

/** What stands before each kind of value, so that no two values are the same words. */
const NOTHING = 0x101;
const NO = 0x102;
const YES = 0x103;
const NUMBER = 0x104;
const TEXT = 0x105;
const OBJECT = 0x106;
const LIST = 0x108;
const DEVICE = 0x109;
const OPAQUE = 0x10a;

/** Fields of the kernel that say nothing of how it goes on: what was, and what only names things. */
const NOT_STATE = new Set([
  'gen',
  'limits',
  'scheduler',
  'ops',
  'deviceNames',
  'deviceCount',
  'processCount',
  'mmCount',
  'gone',
  'exited',
  'formerOwners',
  'callCount',
  'references',
]);

/** The number of what is no part of the state, and of what is part of several numbered objects. */
export const NOBODY = -1;
export const SHARED = -2;

/** Puts what is in an object of one kind into the hash. */
type Content = (object: never) => void;

/** How objects of one make are put in: those that are met by reference have a number each. */
interface Handler {
  readonly content: Content;
  readonly isNumbered: boolean;
}

/** The devices in one of the orders in which they may be numbered. */
export class Order {
  readonly idOf = new Map<string, number>();
  /** By a device's own number: its place in the order. */
  readonly placeOf: number[] = [];

  constructor({ deviceNames }: Kernel, ids: readonly string[]) {
    for (const [place, id] of ids.entries()) this.idOf.set(id, place);
    for (const [number, id] of deviceNames) this.placeOf[number] = this.idOf.get(id) ?? ids.length;
  }
}

/**
 * What a canonical form is made of: numbered objects, each with a hash of its content. The form is their sum, so that
 * one that differs in what a few objects hold is had from theirs.
 */
export class Form {
  /** By object that was looked into: its number, or that of the one it is part of. */
  readonly numbers: Map<object, number> = new Map();
  readonly objects: object[] = [];
  /** Which objects the content of each refers to. */
  readonly references: number[][] = [];
  low: number[] = [];
  high: number[] = [];
  /** Their sum. */
  sumLow = 0;
  sumHigh = 0;

  /** The same objects, which refer to the same. */
  constructor(like?: Form) {
    if (!like) return;
    this.numbers = like.numbers;
    this.objects = like.objects;
    this.references = like.references;
    this.low = like.low.slice();
    this.high = like.high.slice();
  }
}

/**
 * The canonical form of a machine's state, as a hash of 64 bits: what matters for every later answer, whatever calls
 * led there. Slots of tables are in the order of their keys, objects go by the order in which they are met, devices
 * by the order they are asked for in. What the explorer does not know it looks into field by field, so a driver's
 * state counts whether or not anybody thought of it here; at worst states count as different that are not.
 */
export class Canonical {
  /** The form that was asked for last: the two halves of its hash. */
  low = 0;
  high = 0;
  private readonly hash = new Hash();
  private readonly constants = new Map<object, number>();
  private readonly handlers = new Map<unknown, Handler>();
  private order!: Order;
  private underway: (task: Task) => void = () => {};
  /** Numbers of the objects that have been met, or, of a form that is noted, are known. */
  private numbers = new Map<object, number>();
  private count = 0;
  /** What is noted; null: nothing. */
  private form: Form | null = null;
  /** The object whose content is put in. */
  private current = 0;
  private references: number[] = [];
  /** Whether objects must be known. */
  private isPatch = false;
  /** Whether it is noted which objects are part of which. */
  private isNoting = false;
  private isAnother = false;

  /**
   * @param outside what never changes: told apart, and not looked into
   * @param beside what is state as well, besides the kernel
   * @param isAboutFiles whether it matters which number each file of a process has: at an exit alone
   */
  constructor(
    private readonly kernel: Kernel,
    outside: ReadonlySet<object>,
    private readonly beside: readonly object[] = [],
    private readonly isAboutFiles: boolean = false,
  ) {
    for (const object of outside) this.constants.set(object, this.constants.size);
  }

  /**
   * Leaves the hash of the state in `low` and `high`.
   *
   * @param order the devices as they are to be numbered: those that are alike may be exchanged
   * @param underway puts in what tells a call on its way apart
   * @param form takes down what the hash is made of
   */
  of(order: Order, underway: (task: Task) => void, form: Form | null = null): void {
    this.order = order;
    this.underway = underway;
    this.form = form;
    this.isPatch = false;
    this.isNoting = form !== null;
    if (form) this.numbers = form.numbers;
    else this.numbers.clear();
    this.count = 0;
    this.low = 0;
    this.high = 0;
    this.inOwnFrame(this.kernel, this.root, this.count++);
    this.form = null;
    if (!form) return;
    this.numbers = new Map();
    form.sumLow = this.low;
    form.sumHigh = this.high;
  }

  /**
   * The same for a state that differs from a form's in what some of its objects hold.
   *
   * @param noted what is taken down, a copy of the form
   * @returns false where it differs in more, and has to be looked through as a whole
   */
  patch(form: Form, order: Order, numbers: readonly number[], noted: Form | null = null): boolean {
    const { hash } = this;
    this.order = order;
    this.isPatch = true;
    this.isNoting = noted !== null;
    this.isAnother = false;
    this.low = form.sumLow;
    this.high = form.sumHigh;
    const own = this.numbers;
    this.numbers = form.numbers;
    for (let i = 0; i < numbers.length && !this.isAnother; i++) {
      const number = numbers[i]!;
      const object = form.objects[number]!;
      this.references = [];
      this.current = number;
      hash.begin();
      hash.word(number);
      const content = number === 0 ? this.root : this.handlerFor(object).content;
      content.call(this, object as never);
      hash.end();
      this.isAnother ||= !isEqual(this.references, form.references[number]!);
      this.low = (this.low - form.low[number]! + hash.low) | 0;
      this.high = (this.high - form.high[number]! + hash.high) | 0;
      if (!noted) continue;
      noted.low[number] = hash.low;
      noted.high[number] = hash.high;
    }
    this.numbers = own;
    if (noted) {
      noted.sumLow = this.low;
      noted.sumHigh = this.high;
    }
    return !this.isAnother;
  }

  /** Of what a rule has seen only what decides when it strikes. */
  private faults(faults: Faults): void {
    for (const { rule, seen, paused } of faults.list()) {
      this.value(rule);
      const { nth, every } = rule;
      this.hash.word(every !== undefined ? seen % every : nth !== undefined ? Math.min(seen, nth) : seen);
      this.value(paused);
    }
  }

  /** Everything: devices first. */
  private root(): void {
    const { kernel, order } = this;
    for (const id of order.idOf.keys()) this.value(kernel.devices.get(id) ?? null);
    for (const task of kernel.scheduler.pending) this.value(task);
    const { keys, read } = shapeOf(kernel);
    const values = read(kernel);
    for (let i = 0; i < keys.length; i++) {
      const value = values[i];
      if (keys[i] === 'devices') continue;
      if (NOT_STATE.has(keys[i]!)) this.leaveOut(value);
      else if (keys[i] === 'fired') {
        this.partOf(value as Set<string>);
        this.value([...(value as Set<string>)].sort());
      } else this.value(value);
    }
    for (const one of this.beside) this.value(one);
  }

  /** What is no part of the state. */
  private leaveOut(value: unknown): void {
    if (this.form && typeof value === 'object' && value !== null && !this.numbers.has(value)) {
      this.numbers.set(value, NOBODY);
    }
  }

  /** Takes down that an object without a number is part of the one whose content is put in. */
  private partOf(object: object): void {
    if (!this.isNoting) return;
    const before = this.numbers.get(object);
    if (before === undefined || before === NOBODY) this.numbers.set(object, this.current);
    else if (before !== this.current) {
      this.numbers.set(object, SHARED);
      this.isAnother = true;
    }
  }

  /** Puts a device into the hash, by its number in the order. */
  device(id: string): void {
    this.hash.word(DEVICE);
    this.hash.word(this.order.idOf.get(id) ?? NOTHING);
  }

  /** Puts a word into the hash: for whoever tells calls on their way apart. */
  word(value: number): void {
    this.hash.word(value);
  }

  private value(value: unknown): void {
    const { hash } = this;
    switch (typeof value) {
      case 'number':
        hash.word(NUMBER);
        hash.number(value);
        return;
      case 'boolean':
        hash.word(value ? YES : NO);
        return;
      case 'string': {
        const device = this.order.idOf.get(value);
        if (device !== undefined) {
          hash.word(DEVICE);
          hash.word(device);
        } else {
          hash.word(TEXT);
          hash.text(value);
        }
        return;
      }
      case 'bigint':
        hash.word(TEXT);
        hash.text(value.toString(36));
        return;
      case 'object':
        if (value === null) hash.word(NOTHING);
        else this.object(value);
        return;
      case 'function':
        hash.word(OPAQUE);
        return;
      default:
        hash.word(NOTHING);
    }
  }

  private object(object: object): void {
    const { hash } = this;
    const constant = this.constants.get(object);
    if (constant !== undefined) {
      hash.word(OPAQUE);
      hash.word(constant);
      return;
    }
    const { content, isNumbered } = this.handlerFor(object);
    if (isNumbered) this.numbered(object, content);
    else {
      this.partOf(object);
      content.call(this, object as never);
    }
  }

  private handlerFor(object: object): Handler {
    let handler = this.handlers.get(object.constructor);
    if (!handler) {
      handler = this.kindOf(object);
      this.handlers.set(object.constructor, handler);
    }
    return handler;
  }

  private kindOf(object: object): Handler {
    const part = (content: Content): Handler => ({ content, isNumbered: false });
    const numbered = (content: Content): Handler => ({ content, isNumbered: true });
    if (Array.isArray(object)) return part(this.list);
    if (object instanceof Map) return part(this.map);
    if (object instanceof Set) return part(this.set);
    if (ArrayBuffer.isView(object)) return part(this.column);
    if (object instanceof Lock) return numbered(this.lock);
    if (object instanceof Iommu) return numbered(this.type1);
    if (object instanceof Ioas) return numbered(this.ioas);
    if (object instanceof SyntheticDriver) return numbered(this.synthetic);
    if (object instanceof OwnPins) return part(this.ownPins);
    if (object instanceof PageTree) return part(this.pageTree);
    if (object instanceof PinShadow) return part(this.shadow);
    if (object instanceof Task) return part(this.task);
    if (object instanceof EmulatedMemory) return part(this.memory);
    if (object instanceof History) return part(this.history);
    if (object instanceof WaitQueue) return part(this.queue);
    if (object instanceof FileTable) return part(this.isAboutFiles ? this.fields : this.opaque);
    if (object instanceof Faults) return part(this.faults);
    if (object instanceof Scheduler || object === this.kernel) return part(this.opaque);
    if (object instanceof Device || object instanceof Group) return numbered(this.named);
    if (object instanceof Process || object instanceof Mm) return numbered(this.counted);
    return object.constructor === Object ? part(this.fields) : numbered(this.fields);
  }

  /** Puts an object in by its number; the first time what is in it as well. */
  private numbered(object: object, content: Content): void {
    const { hash } = this;
    const before = this.numbers.get(object);
    hash.word(OBJECT);
    if (before !== undefined) {
      hash.word(before);
      this.refersTo(before);
      return;
    }
    if (this.isPatch) {
      this.isAnother = true;
      return;
    }
    const number = this.count++;
    hash.word(number);
    this.refersTo(number);
    this.numbers.set(object, number);
    const { low, high } = hash;
    this.inOwnFrame(object, content, number);
    hash.low = low;
    hash.high = high;
  }

  private refersTo(number: number): void {
    if (this.form || this.isPatch) this.references.push(number);
  }

  /** Puts in what is in an object, by itself. */
  private inOwnFrame(object: object, content: Content, number: number): void {
    const { hash, form, current, references } = this;
    this.current = number;
    if (form) {
      this.references = [];
      form.objects[number] = object;
      form.references[number] = this.references;
    }
    hash.begin();
    hash.word(number);
    content.call(this, object as never);
    hash.end();
    this.low = (this.low + hash.low) | 0;
    this.high = (this.high + hash.high) | 0;
    if (form) {
      form.low[number] = hash.low;
      form.high[number] = hash.high;
    }
    this.current = current;
    this.references = references;
  }

  private list(items: readonly unknown[]): void {
    this.hash.word(LIST);
    this.hash.word(items.length);
    for (const item of items) this.value(item);
  }

  private map(map: ReadonlyMap<unknown, unknown>): void {
    this.hash.word(LIST);
    this.hash.word(map.size);
    if (map.size === 0) return;
    for (const [key, value] of map) {
      this.value(key);
      this.value(value);
    }
  }

  private set(set: ReadonlySet<unknown>): void {
    this.hash.word(LIST);
    this.hash.word(set.size);
    if (set.size === 0) return;
    for (const value of set) this.value(value);
  }

  private column(numbers: ArrayLike<number>): void {
    this.hash.word(LIST);
    for (let i = 0; i < numbers.length; i++) this.hash.number(numbers[i]!);
  }

  private task(task: Task): void {
    // Its number is good for one look alone.
    this.isAnother = true;
    this.underway(task);
  }

  private opaque(): void {
    this.hash.word(OPAQUE);
  }

  /** Of what went before only whether the container has lost its IOMMU: the rest is for words alone. */
  private history({ loss }: History): void {
    this.hash.word(loss === null ? NO : YES);
  }

  private memory({ regions, isEmpty }: EmulatedMemory): void {
    this.hash.word(isEmpty ? YES : NO);
    for (const { store: _store, bar, ...region } of regions)
      this.value({ ...region, bar: bar?.device ?? null });
  }

  private queue({ waiters }: WaitQueue): void {
    this.hash.word(waiters.size);
  }

  /** Of devices and groups not what only names them. */
  private named(object: Device | Group): void {
    const { keys, read } = shapeOf(object);
    const values = read(object);
    for (let i = 0; i < keys.length; i++) if (keys[i] !== 'id' && keys[i] !== 'number') this.value(values[i]);
  }

  /** Of processes and memories not which of all that there ever were they are. */
  private counted(object: Process | Mm): void {
    const { keys, read } = shapeOf(object);
    const values = read(object);
    for (let i = 0; i < keys.length; i++) if (keys[i] !== 'number') this.value(values[i]);
  }

  private fields(object: object): void {
    const { keys, read } = shapeOf(object);
    const values = read(object);
    for (let i = 0; i < keys.length; i++) this.value(values[i]);
    this.hash.word(keys.length);
  }

  private lock(lock: Lock): void {
    const { hash } = this;
    const { owner, readers, waiters, wedgedBy } = lock;
    if (owner === null && readers.size === 0 && waiters.length === 0 && wedgedBy === null) {
      hash.word(NO);
      return;
    }
    hash.word(wedgedBy ? YES : NO);
    this.value(owner);
    for (const reader of readers) this.value(reader);
    for (const { task, shared } of waiters) {
      this.value(task);
      hash.word(shared ? YES : NO);
    }
  }

  /** Columns by slot in the order of the keys, and the tree's shape. */
  private type1(iommu: Iommu): void {
    const { hash } = this;
    const { mappings, pins } = iommu;
    // Of two mappings that a misaligned page lies in, the one nearer to the root is found.
    const shapeMatters = mappings.count > 1;
    hash.word(iommu.type);
    hash.number(iommu.dmaAvail);
    hash.word(iommu.vaddrInvalidCount);
    hash.word(iommu.nonPinnedGroups);
    hash.word((iommu.dirtyTracking ? 1 : 0) | (iommu.overlapPossible ? 2 : 0));
    this.value(iommu.deviceList);
    this.value(iommu.emulatedGroups);
    this.value(iommu.domainGroups);
    this.value(iommu.iovaList);
    this.value(iommu.shadow);
    this.value(iommu.lock);
    this.value(iommu.deviceListLock);
    hash.word(mappings.count);
    for (let slot = mappings.first(mappings.root); slot !== NIL; slot = mappings.next(slot)) {
      hash.number(mappings.iova[slot]!);
      hash.number(mappings.size[slot]!);
      hash.number(mappings.vaddr[slot]!);
      hash.word(
        mappings.prot[slot]! |
          (mappings.iommuMapped(slot) ? 16 : 0) |
          (mappings.vaddrInvalid(slot) ? 32 : 0) |
          (mappings.lockCap(slot) ? 64 : 0),
      );
      if (iommu.ownerOf(slot) !== iommu.owner) this.value(iommu.ownerOf(slot));
      if (shapeMatters) hash.word(mappings.depthOf(slot) * 2 + (mappings.isRed(slot) ? 1 : 0));
      if (iommu.dirtyTracking) this.value(iommu.bitmapOf(slot));
      const root = mappings.pins[slot]!;
      if (root === NIL) continue;
      for (let pin = pins.first(root); pin !== NIL; pin = pins.next(pin)) {
        hash.number(pins.page[pin]!);
        hash.word(pins.offset[pin]!);
        hash.number(pins.pfn[pin]!);
        this.holders(pins.holdersOf(pin));
      }
      hash.word(LIST);
    }
  }

  private holders(holders: ReadonlyMap<number, number>): void {
    for (const [device, count] of holders) {
      this.hash.word(DEVICE);
      this.hash.word(this.order.placeOf[device]!);
      this.hash.word(count);
    }
  }

  private ioas(ioas: Ioas): void {
    const { hash } = this;
    const { areas } = ioas;
    const met: IoptPages[] = [];
    hash.word(ioas.iovaAlignment | (ioas.disableLargePages ? 1 << 16 : 0));
    this.value(ioas.accessList);
    this.value(ioas.domainDevices);
    this.value(ioas.shadow);
    for (const slot of areas.inOrder()) {
      hash.number(areas.firstPage[slot]!);
      hash.number(areas.lastPage[slot]!);
      hash.number(areas.vaddrPage[slot]!);
      hash.word(areas.firstOffset[slot]! | (areas.lastOffset[slot]! << 16));
      hash.word(areas.vaddrOffset[slot]!);
      hash.word(areas.prot[slot]! | (areas.preventAccess(slot) ? 16 : 0));
      hash.word(areas.numAccesses[slot]!);
      const pages = areas.pages(slot);
      const before = met.indexOf(pages);
      hash.word(before);
      if (before >= 0) continue;
      met.push(pages);
      this.pagesOf(ioas, pages);
    }
  }

  /** The memory behind an area, and what is pinned of it. */
  private pagesOf({ accesses }: Ioas, pages: IoptPages): void {
    const { hash } = this;
    this.value(pages.owner);
    hash.word((pages.writable ? 1 : 0) | (pages.accounted ? 2 : 0));
    for (let at = accesses.first(pages.accesses); at !== NIL; at = accesses.next(at)) {
      hash.number(accesses.start[at]!);
      hash.number(accesses.last[at]!);
      this.holders(accesses.holdersOf(at));
    }
  }

  /** How many callbacks it has had makes a difference only as long as it ignores them. */
  private synthetic(driver: SyntheticDriver): void {
    const { keys, read } = shapeOf(driver);
    const values = read(driver);
    for (let i = 0; i < keys.length; i++) {
      if (keys[i] !== 'callbacks') this.value(values[i]);
      else this.value(Math.min(values[i] as number, driver.config.ignoreFirst ?? 0));
    }
  }

  private ownPins(pins: OwnPins): void {
    for (const [iova, times] of pins.entries()) {
      this.value(iova);
      this.hash.word(times);
    }
  }

  private pageTree(tree: PageTree): void {
    for (const { page, depth, red } of tree.inOrder()) {
      this.value(page);
      this.hash.word(depth * 2 + (red ? 1 : 0));
    }
  }

  private shadow(shadow: PinShadow): void {
    const stolen = shadow
      .stolenPins()
      .map(({ device, page, offset, npage }) => `${this.order.placeOf[device]} ${page} ${offset} ${npage}`);
    if (stolen.length > 0) this.value(stolen.sort());
  }
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
