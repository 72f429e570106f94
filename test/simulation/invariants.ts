import { accessesOf } from '../../src/kernel/iommufd/access-shadow.ts';
import { CompatContainer } from '../../src/kernel/iommufd/vfio-compat.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { Lock } from '../../src/kernel/lock.ts';
import type { Process } from '../../src/kernel/process.ts';
import type { Task } from '../../src/kernel/task.ts';
import type { Iommu } from '../../src/kernel/type1/iommu.ts';
import type { Type1 } from '../../src/kernel/type1/type1.ts';
import { ClassicContainer } from '../../src/kernel/vfio/classic-container.ts';

/** The WARN_ON of a mapping that is freed with pins in it (W6). */
const LEAK = '!RB_EMPTY_ROOT(&dma->pfn_list)';

/** What must be true of a kernel whenever nothing runs in it. */
export class Invariants {
  /** The limit of each type1 instance, as it was when it was first seen. */
  private readonly limits = new WeakMap<Iommu, number>();
  /** Kernels whose charges leak in a way that the real one's do, so that no sum can be told any more. */
  private readonly leaky = new WeakSet<Kernel>();
  /** Pages that were charged to a process and had leaked when it was restored. */
  private readonly leaked = new WeakMap<Process, number>();
  /** How often each was looked at. */
  readonly checked = { kernels: 0, charges: 0, pins: 0, locks: 0 };

  /** The kernel has printed something: of some splats its pages leak. */
  splat(kernel: Kernel, splat: object): void {
    if ('condition' in splat && splat.condition === LEAK) this.leaky.add(kernel);
  }

  /** A kernel was made from a snapshot: what had leaked before stays so. */
  restored(kernel: Kernel): void {
    for (const [process, pages] of this.charges(kernel)) this.leaked.set(process, process.lockedVm - pages);
  }

  /** @throws Error that names the one that does not hold */
  check(kernel: Kernel): void {
    this.checked.kernels++;
    for (const [process, pages] of this.charges(kernel)) this.charge(kernel, process, pages);
    for (const lock of locksOf(kernel)) this.lock(kernel, lock);
  }

  /** The pages that mappings and pins say each process has locked. */
  private charges(kernel: Kernel): Map<Process, number> {
    const charged = new Map<Process, number>([...kernel.processes.values()].map((one) => [one, 0]));
    for (const container of kernel.containers.values()) {
      const { process } = container;
      let pages = 0;
      if (container instanceof ClassicContainer && container.iommu) {
        pages = this.type1(kernel, container.iommu as Type1);
      } else if (container instanceof CompatContainer) {
        pages = this.iommufd(kernel, container);
      }
      charged.set(process, (charged.get(process) ?? 0) + pages);
    }
    return charged;
  }

  /** dma_avail and the mappings are the limit; each pin lies in its mapping. The pages it has charged. */
  private type1(kernel: Kernel, iommu: Iommu): number {
    const { mappings, pins } = iommu;
    const sum = iommu.dmaAvail + mappings.count;
    const limit = this.limits.get(iommu) ?? sum;
    this.limits.set(iommu, limit);
    demand(
      sum === limit,
      () => `dma_avail ${iommu.dmaAvail} and ${mappings.count} mappings are not ${limit}`,
    );
    let charged = 0;
    let found = 0;
    for (const slot of mappings.inOrder()) {
      const [first, size] = [mappings.iova[slot]!, mappings.size[slot]!];
      let external = 0;
      for (const pin of pins.nodesOf(mappings.pins[slot]!)) {
        this.checked.pins++;
        found++;
        const page = pins.page[pin]!;
        const offset = pins.offset[pin]!;
        // A key that is no page's start may begin in the page before its mapping.
        const lowest = offset === 0 ? first : first - 1;
        demand(
          page >= lowest && page < first + size,
          () => `a pin of page ${page} outside [${first}, +${size})`,
        );
        demand(pins.refCount[pin]! > 0, () => `a pin of page ${page} without a reference`);
        if (offset !== 0) this.leaky.add(kernel);
        if (!iommu.isReserved(pins.pfn[pin]!)) external++;
        else this.leaky.add(kernel);
      }
      if (mappings.end(slot) === 0) this.leaky.add(kernel);
      charged += mappings.iommuMapped(slot) ? size : external;
    }
    demand(found === pins.count, () => `${pins.count} pins, ${found} of them in mappings`);
    if (iommu.hasDomain && iommu.owner.mm.zeroPages(0, 2 ** 20) > 0) this.leaky.add(kernel);
    return charged;
  }

  /** Each pin lies in its mapping's memory. The pages charged: every page that a pin or a domain holds, once. */
  private iommufd(kernel: Kernel, container: CompatContainer): number {
    const { ioas } = container.iommu;
    if (!ioas) return 0;
    const { areas, accesses } = ioas;
    const held = new Map<object, Set<number>>();
    for (const slot of areas.inOrder()) {
      const pages = areas.pages(slot);
      const set = held.get(pages) ?? new Set();
      held.set(pages, set);
      const first = areas.vaddrPage[slot]!;
      const count = areas.lastPage[slot]! - areas.firstPage[slot]! + 1;
      if (ioas.hasDomain) for (let i = 0; i < count; i++) set.add(first + i);
      let refs = 0;
      for (const access of accessesOf(ioas, slot)) {
        this.checked.pins++;
        refs += accesses.refCount[access]!;
        const from = accesses.start[access]!;
        const to = accesses.last[access]!;
        for (let page = from; page <= to; page++) set.add(page);
      }
      if (refs !== areas.numAccesses[slot]!) this.leaky.add(kernel);
    }
    let charged = 0;
    for (const slot of areas.inOrder()) {
      const pages = areas.pages(slot);
      if (pages.accounted) charged += held.get(pages)?.size ?? 0;
      held.delete(pages);
    }
    return charged;
  }

  private charge(kernel: Kernel, process: Process, pages: number): void {
    demand(process.lockedVm >= 0, () => `locked_vm of ${process.id} is ${process.lockedVm}`);
    if (this.leaky.has(kernel)) return;
    this.checked.charges++;
    const leaked = this.leaked.get(process) ?? 0;
    const says = () =>
      `locked_vm of ${process.id} is ${process.lockedVm}, but mappings and pins say ${pages}`;
    demand(process.lockedVm === pages + leaked, says);
  }

  /** Whoever holds a lock is under way, or dead and the lock says so; nobody waits for a lock that is free. */
  private lock(kernel: Kernel, lock: Lock): void {
    this.checked.locks++;
    const pending = kernel.scheduler.pending;
    for (const holder of holdersOf(lock)) {
      const alive = pending.includes(holder);
      const says = () => `${lock.name} is held by ${holder.call}`;
      demand(alive || lock.wedgedBy !== null, () => `${says()}, which is not under way, and not for ever`);
      demand(holder.held.includes(lock), () => `${says()}, which does not know`);
    }
    const waits = lock.waiters.length > 0;
    demand(!waits || holdersOf(lock).length > 0, () => `${lock.name} is free, but waited for`);
    for (const { task } of lock.waiters) {
      demand(pending.includes(task), () => `${task.call} waits for ${lock.name}, but is not under way`);
    }
  }
}

function demand(holds: boolean, why: () => string): void {
  if (!holds) throw new Error(why());
}

function holdersOf(lock: Lock): Task[] {
  return lock.owner ? [lock.owner, ...lock.readers] : [...lock.readers];
}

function* locksOf(kernel: Kernel): Generator<Lock> {
  for (const container of kernel.containers.values()) {
    if (!(container instanceof ClassicContainer)) continue;
    yield container.groupLock;
    if (!container.iommu) continue;
    const { lock, deviceListLock } = container.iommu as Type1;
    yield lock;
    yield deviceListLock;
  }
  const groups = new Set([...kernel.devices.values()].map(({ group }) => group));
  for (const { lock } of groups) yield lock;
}
