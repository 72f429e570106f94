import { Gtt } from '../drivers/gvt-g/gtt.ts';
import { PageTree } from '../drivers/gvt-g/page-tree.ts';
import { SyntheticDriver } from '../drivers/synthetic/driver.ts';
import { OwnPins } from '../drivers/synthetic/own-pins.ts';
import { PinnedKeys } from '../drivers/vfio-ap/pinned-keys.ts';
import { EmulatedMemory } from '../kernel/emulated-memory.ts';
import { FileTable, OpenFile } from '../kernel/files.ts';
import type { HeldNodes } from '../kernel/held-nodes.ts';
import { IommufdCtx } from '../kernel/iommufd/ctx.ts';
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
import { Entries } from './entries.ts';
import type { Hash } from './hash.ts';
import { shapeOf } from './shapes.ts';
import { type Content, DEVICE, fieldsOf, type Handler, NO, OPAQUE, StateHash, YES } from './state-hash.ts';
import { keyOf } from './watched-tables.ts';

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
  'restored',
  'callCount',
  'references',
  'mappings',
  'regions',
  'descriptors',
  'groupFiles',
  'objects',
]);

/** The tree of a table that has one alone. */
const NO_TREE = 0;

/**
 * The canonical form of a machine's state, as a hash of 64 bits: what matters for every later answer, whatever calls
 * led there. Slots of tables are in the order of their keys, objects go by the order in which they are met, devices
 * by the order they are asked for in. What the explorer does not know it looks into field by field, so a driver's
 * state counts whether or not anybody thought of it here; at worst states count as different that are not.
 */
export class Canonical extends StateHash {
  /**
   * @param outside what never changes: told apart, and not looked into
   * @param beside what is state as well, besides the kernel
   * @param isAboutFiles whether it matters which number each file of a process has: at an exit alone
   * @param tables whose entries are parts of their own, with the numbers that those have
   */
  constructor(
    kernel: Kernel,
    outside: ReadonlySet<object>,
    private readonly beside: readonly object[] = [],
    private readonly isAboutFiles: boolean = false,
    tables: readonly object[] = [],
    entries: Entries = new Entries(),
  ) {
    super(kernel, outside, tables, entries);
  }

  /**
   * Devices with what is theirs, in their order; containers; processes. And what has been printed once for all: by
   * itself, because hardly a call depends on it.
   */
  protected override first(): object[] {
    const { kernel, order } = this;
    const found = new Set<object>();
    for (const id of order.idOf.keys()) {
      const device = kernel.devices.get(id);
      if (device) found.add(device).add(device.group).add(device.driver);
    }
    for (const container of kernel.containers.values()) found.add(container);
    for (const process of kernel.processes.values()) found.add(process);
    const objects = [...found].filter((object) => this.isNumbered(object));
    objects.push(kernel.taint, kernel.fired);
    return objects;
  }

  /** Everything else. */
  protected override root(): void {
    const { kernel, order } = this;
    for (const id of order.idOf.keys()) this.value(kernel.devices.get(id) ?? null);
    for (const task of kernel.scheduler.pending) this.value(task);
    const { keys, read } = shapeOf(kernel);
    const values = read(kernel);
    for (let i = 0; i < keys.length; i++) {
      const value = values[i];
      if (keys[i] === 'devices') this.partOf(kernel.devices);
      else if (NOT_STATE.has(keys[i]!)) this.leaveOut(value);
      else this.value(value);
    }
    for (const one of this.beside) this.value(one);
  }

  protected override kindOf(object: object): Handler {
    const part = (content: Content): Handler => ({ content, isNumbered: false });
    const numbered = (content: Content): Handler => ({ content, isNumbered: true });
    if (Array.isArray(object)) return part(this.list);
    if (object instanceof Map) return part(this.map);
    if (object instanceof Set) return part(this.set);
    if (ArrayBuffer.isView(object)) return part(this.column);
    if (object instanceof Lock) return numbered(this.lock);
    if (object instanceof Iommu) return numbered(this.type1);
    if (object instanceof Ioas) return numbered(this.ioas);
    if (object instanceof SyntheticDriver) {
      const rest = fieldsOf(object, ['callbacks']) as (driver: SyntheticDriver) => void;
      return numbered((driver: SyntheticDriver) => {
        rest.call(this, driver);
        this.callbacks(driver);
      });
    }
    if (object instanceof IommufdCtx) {
      const rest = fieldsOf(object, ['devices']) as (ctx: IommufdCtx) => void;
      return numbered((ctx: IommufdCtx) => {
        rest.call(this, ctx);
        this.bound(ctx);
      });
    }
    if (object instanceof OwnPins) return part(this.ownPins);
    if (object instanceof PinnedKeys) return part((keys: PinnedKeys) => this.list([...keys]));
    if (object instanceof PageTree) return part(this.pageTree);
    if (object instanceof Gtt) return numbered((gtt: Gtt) => this.list([...gtt.all()]));
    if (object instanceof PinShadow) return part(this.shadow);
    if (object instanceof Task) return part(this.task);
    if (object instanceof EmulatedMemory) return part(this.memory);
    if (object instanceof History) return part(this.history);
    if (object instanceof WaitQueue) return part(this.queue);
    if (object instanceof FileTable) return part(this.isAboutFiles ? fieldsOf(object) : this.opaque);
    if (object instanceof Faults) return part(this.faults);
    if (object instanceof Scheduler || object === this.kernel) return part(this.opaque);
    // Each is in one list alone: of its device, or where its group or container has it.
    if (object instanceof OpenFile && !this.isAboutFiles) return part(fieldsOf(object));
    // Of devices and groups not what only names them.
    if (object instanceof Device || object instanceof Group)
      return numbered(fieldsOf(object, ['id', 'number', 'savedAs']));
    // Of processes and memories not which of all that there ever were they are.
    if (object instanceof Process || object instanceof Mm) return numbered(fieldsOf(object, ['number']));
    return object.constructor === Object ? part(this.plain) : numbered(fieldsOf(object));
  }

  /** Which once-only warnings have been printed, whatever their order. */
  protected override set(set: ReadonlySet<unknown>): void {
    super.set(set === this.kernel.fired ? new Set([...set].sort()) : set);
  }

  /** The devices that are bound to iommufd, in their order, however they came. */
  private bound({ devices }: IommufdCtx): void {
    const { placeOf } = this.order;
    this.partOf(devices);
    this.map(new Map([...devices].sort(([a], [b]) => placeOf[a.number]! - placeOf[b.number]!)));
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

  /** The fields of an object that is of no class. */
  private plain(object: Record<string, unknown>): void {
    let count = 0;
    for (const key in object) {
      this.value(object[key]);
      count++;
    }
    this.hash.word(count);
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
    const { mappings } = iommu;
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
    }
    this.table(iommu.pins, () => this.pins(iommu));
  }

  /** The pins of a container: in which mapping each is, and who holds it. */
  private pins({ mappings, pins, overlapPossible }: Iommu): void {
    const { entry } = this;
    const { hash } = entry;
    let place = 0;
    for (let slot = mappings.first(mappings.root); slot !== NIL; slot = mappings.next(slot)) {
      const iova = mappings.iova[slot]!;
      // Several may begin at the same IOVA.
      if (overlapPossible) place++;
      for (let pin = pins.first(mappings.pins[slot]!); pin !== NIL; pin = pins.next(pin)) {
        const page = pins.page[pin]!;
        const offset = pins.offset[pin]!;
        entry.begin(this.current);
        hash.number(iova);
        hash.word(place);
        hash.number(page);
        hash.word(offset);
        hash.number(pins.pfn[pin]!);
        const holders = pins.holderList(pin);
        const [{ device, count }] = holders as [(typeof holders)[0]];
        const isSole = holders.length === 1;
        if (isSole) hash.word(this.order.placeOf[device]!);
        else this.holders(pins, pin, hash);
        entry.end(iova, overlapPossible ? Number.POSITIVE_INFINITY : keyOf(page, offset), isSole ? count : 1);
      }
    }
  }

  private holders(nodes: HeldNodes, slot: number, hash: Hash): void {
    for (const { device, count } of nodes.holderList(slot)) {
      hash.word(DEVICE);
      hash.word(this.order.placeOf[device]!);
      hash.word(count);
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
      this.holders(accesses, at, hash);
    }
  }

  /** How many callbacks it has had makes a difference only as long as it ignores them. */
  private callbacks(driver: SyntheticDriver): void {
    const { callbacks, config } = driver as unknown as {
      callbacks: number;
      config: SyntheticDriver['config'];
    };
    this.hash.number(Math.min(callbacks, config.ignoreFirst ?? 0));
  }

  private ownPins(pins: OwnPins): void {
    const { entry } = this;
    this.table(pins, () => {
      for (let slot = pins.lowestSlot; slot !== NIL; slot = pins.next(slot)) {
        const page = pins.page[slot]!;
        const offset = pins.offset[slot]!;
        entry.begin(this.current);
        entry.hash.number(page);
        entry.hash.word(offset);
        entry.end(NO_TREE, keyOf(page, offset), pins.times[slot]!);
      }
    });
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
