import { PageTree } from '../drivers/gvt-g/page-tree.ts';
import { OwnPins } from '../drivers/synthetic/own-pins.ts';
import { EmulatedMemory } from '../kernel/emulated-memory.ts';
import { FileTable } from '../kernel/files.ts';
import { Ioas } from '../kernel/iommufd/ioas.ts';
import type { IoptPages } from '../kernel/iommufd/iopt-pages.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Lock } from '../kernel/lock.ts';
import { PinShadow } from '../kernel/pin-shadow.ts';
import { NIL } from '../kernel/rb-links.ts';
import { Scheduler } from '../kernel/scheduler.ts';
import { Task } from '../kernel/task.ts';
import { Iommu } from '../kernel/type1/iommu.ts';
import { Device } from '../kernel/vfio/device.ts';
import { Group } from '../kernel/vfio/group.ts';
import { History } from '../kernel/vfio/history.ts';
import { WaitQueue } from '../kernel/wait-queue.ts';
import { Hash } from './hash.ts';
import { shapeOf } from './shapes.ts';

/** What stands before each kind of value, so that no two values are the same words. */
const NOTHING = 0x101;
const NO = 0x102;
const YES = 0x103;
const NUMBER = 0x104;
const TEXT = 0x105;
const AGAIN = 0x106;
const OBJECT = 0x107;
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

/** Puts an object of one kind into the hash. */
type Handler = (object: never) => void;
/**
 * The canonical form of a machine's state, as a hash of 64 bits: what matters for every later answer, whatever calls
 * led there. Slots of tables are in the order of their keys, objects go by the order in which they are met, devices
 * by the order they are asked for in. What the explorer does not know it looks into field by field, so a driver's
 * state counts whether or not anybody thought of it here; at worst states count as different that are not.
 */
export class Canonical {
  readonly hash = new Hash();
  private readonly seen = new Map<object, number>();
  private readonly numberOf: number[] = [];
  private readonly idOf = new Map<string, number>();
  private readonly constants = new Map<object, number>();
  private readonly handlers = new Map<unknown, Handler>();

  /** @param outside what never changes: told apart, and not looked into */
  constructor(
    private readonly kernel: Kernel,
    outside: ReadonlySet<object>,
  ) {
    for (const object of outside) this.constants.set(object, this.constants.size);
  }

  /**
   * Leaves the hash of the state in `hash`.
   *
   * @param order the devices as they are to be numbered: those that are alike may be exchanged
   * @param underway what tells apart calls on their way, by task
   */
  of(order: readonly string[], underway: (task: Task, hash: Hash) => void): void {
    const { kernel, hash, seen } = this;
    hash.begin();
    seen.clear();
    this.idOf.clear();
    for (const [i, id] of order.entries()) {
      this.idOf.set(id, i);
      const device = kernel.devices.get(id);
      if (device) this.numberOf[device.number] = i;
    }
    this.underway = underway;
    for (const id of order) this.value(kernel.devices.get(id) ?? null);
    for (const task of kernel.scheduler.pending) this.value(task);
    const { keys, read } = shapeOf(kernel);
    const values = read(kernel);
    for (let i = 0; i < keys.length; i++) {
      const value = values[i];
      if (NOT_STATE.has(keys[i]!) || keys[i] === 'devices') continue;
      if (keys[i] === 'fired') this.value([...(value as Set<string>)].sort());
      else this.value(value);
    }
    hash.end();
  }

  private underway: (task: Task, hash: Hash) => void = () => {};

  /** Puts a device into the hash, by its number in the order. */
  device(id: string): void {
    this.hash.word(DEVICE);
    this.hash.word(this.idOf.get(id) ?? NOTHING);
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
        const device = this.idOf.get(value);
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
    const handler = this.handlers.get(object.constructor) ?? this.handlerOf(object);
    const constant = this.constants.get(object);
    if (constant !== undefined) {
      hash.word(OPAQUE);
      hash.word(constant);
    } else handler.call(this, object as never);
  }

  private handlerOf(object: object): Handler {
    const handler = this.kindOf(object) as Handler;
    this.handlers.set(object.constructor, handler);
    return handler;
  }

  private kindOf(object: object): unknown {
    if (Array.isArray(object)) return this.list;
    if (object instanceof Map) return this.map;
    if (object instanceof Set) return this.set;
    if (ArrayBuffer.isView(object)) return this.column;
    if (object instanceof Lock) return this.lock;
    if (object instanceof Iommu) return this.type1;
    if (object instanceof Ioas) return this.ioas;
    if (object instanceof OwnPins) return this.ownPins;
    if (object instanceof PageTree) return this.pageTree;
    if (object instanceof PinShadow) return this.shadow;
    if (object instanceof Task) return this.task;
    if (object instanceof EmulatedMemory) return this.memory;
    if (object instanceof History) return this.history;
    if (object instanceof WaitQueue) return this.queue;
    // Which number a file has matters at an exit alone, and nobody exits here.
    if (object instanceof FileTable) return this.opaque;
    if (object instanceof Scheduler || object === this.kernel) return this.opaque;
    if (object instanceof Device || object instanceof Group) return this.named;
    return object.constructor === Object ? this.fields : this.entity;
  }

  /** Whether an object was met before: then only its number is put in. */
  private isAgain(object: object): boolean {
    const { hash, seen } = this;
    const before = seen.get(object);
    if (before === undefined) {
      seen.set(object, seen.size);
      hash.word(OBJECT);
      return false;
    }
    hash.word(AGAIN);
    hash.word(before);
    return true;
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
    this.underway(task, this.hash);
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

  private named(object: Device | Group): void {
    if (!this.isAgain(object)) this.fields(object, true);
  }

  private entity(object: object): void {
    if (!this.isAgain(object)) this.fields(object);
  }

  /** Every field; of devices and groups not what only names them. */
  private fields(object: object, isNamed = false): void {
    const { keys, read } = shapeOf(object);
    const values = read(object);
    for (let i = 0; i < keys.length; i++) {
      if (isNamed && (keys[i] === 'id' || keys[i] === 'number')) continue;
      this.value(values[i]);
    }
    this.hash.word(OBJECT);
  }

  private lock(lock: Lock): void {
    if (this.isAgain(lock)) return;
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

  /** Columns by slot in the order of the keys. Where the walk starts at the root the tree's shape is told as well. */
  private type1(iommu: Iommu): void {
    if (this.isAgain(iommu)) return;
    const { hash } = this;
    const { mappings, pins } = iommu;
    const shapeMatters = iommu.gen.type1.unmapWalk !== 'ascending' || iommu.overlapPossible;
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
    this.lock(iommu.lock);
    this.lock(iommu.deviceListLock);
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
      this.hash.word(this.numberOf[device]!);
      this.hash.word(count);
    }
  }

  private ioas(ioas: Ioas): void {
    if (this.isAgain(ioas)) return;
    const { hash } = this;
    const { areas } = ioas;
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
      this.pagesOf(ioas, areas.pages(slot));
    }
  }

  /** The memory behind an area, and what is pinned of it. */
  private pagesOf({ accesses }: Ioas, pages: IoptPages): void {
    const { hash, seen } = this;
    const before = seen.get(pages);
    hash.word(AGAIN);
    hash.word(before ?? seen.size);
    if (before !== undefined) return;
    seen.set(pages, seen.size);
    this.value(pages.owner);
    hash.word((pages.writable ? 1 : 0) | (pages.accounted ? 2 : 0));
    for (let at = accesses.first(pages.accesses); at !== NIL; at = accesses.next(at)) {
      hash.number(accesses.start[at]!);
      hash.number(accesses.last[at]!);
      this.holders(accesses.holdersOf(at));
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
      .map(({ device, page, offset, npage }) => `${this.numberOf[device]} ${page} ${offset} ${npage}`);
    if (stolen.length > 0) this.value(stolen.sort());
  }
}
