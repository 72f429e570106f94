import { saveModelHosts } from '../../src/drivers/index.ts';
import type { HostCodec } from '../../src/drivers/model.ts';
import type { MdevDriver } from '../../src/kernel/driver.ts';
import { accessesOf, keyOf } from '../../src/kernel/iommufd/access-shadow.ts';
import type { IommufdCtx } from '../../src/kernel/iommufd/ctx.ts';
import type { Ioas } from '../../src/kernel/iommufd/ioas.ts';
import { CompatContainer } from '../../src/kernel/iommufd/vfio-compat.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { Lock } from '../../src/kernel/lock.ts';
import { regionBytes } from '../../src/kernel/memory-region.ts';
import { addressOf, hex, hexAddress } from '../../src/kernel/pages.ts';
import type { Process } from '../../src/kernel/process.ts';
import { NIL } from '../../src/kernel/rb-links.ts';
import { splatReport } from '../../src/kernel/splat-report.ts';
import type { Task } from '../../src/kernel/task.ts';
import type { DirtyBitmap } from '../../src/kernel/type1/dirty-bitmap.ts';
import type { Iommu } from '../../src/kernel/type1/iommu.ts';
import { describePin } from '../../src/kernel/type1/leftover-pins.ts';
import type { MappingTable } from '../../src/kernel/type1/mapping-table.ts';
import type { Type1 } from '../../src/kernel/type1/type1.ts';
import { ClassicContainer } from '../../src/kernel/vfio/classic-container.ts';
import type { Container } from '../../src/kernel/vfio/container.ts';
import type { Device } from '../../src/kernel/vfio/device.ts';
import { itemsOf } from '../../src/pause.ts';

/**
 * The whole observable state of a kernel as one canonical value: for tests that hold two states against each
 * other (before and after a refused call, a kernel and its restored snapshot).
 *
 * It is plain JSON: no BigInt, no undefined. Equal states give deeply equal dumps: objects are sorted by id
 * and nothing that no caller can see (table slots, the shape of a pin tree) is in it. Addresses and sizes are
 * `0x…` strings of bytes; counts are numbers.
 */
export function dumpKernel(kernel: Kernel) {
  return {
    version: kernel.gen.version,
    parameters: {
      dmaEntryLimit: kernel.dmaEntryLimit,
      warnOnPinnedUnmap: kernel.warnOnPinnedUnmap,
      adviseNoCallback: kernel.adviseNoCallback,
    },
    taint: [...kernel.taint].sort() as string[],
    firedOnce: kernel.firedOnce as string[],
    processes: byId(kernel.processes).map(dumpProcess),
    containers: byId(kernel.containers).map(dumpContainer),
    devices: byId(kernel.devices).map(dumpDevice),
    models: saveModelHosts(
      kernel,
      {
        saveLock: dumpLock as HostCodec['saveLock'],
        restoreLock: () => {},
        checkPins: () => {},
      },
      itemsOf,
    ),
    tasks: kernel.scheduler.pending.map(dumpTask),
  };
}

/** What dumpKernel answers. */
export type KernelDump = ReturnType<typeof dumpKernel>;

function byId<T extends { id: string }>(objects: ReadonlyMap<string, T>): T[] {
  return [...objects.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** A process; `contents` are its pages that are not zero throughout, lowest first. */
function dumpProcess(process: Process) {
  return {
    id: process.id,
    number: process.number,
    memlock: process.memlock === null ? 'unlimited' : hex(process.memlock),
    capIpcLock: process.capIpcLock,
    capSysRawio: process.capSysRawio,
    mm: process.mm.number,
    files: process.files.list().map((file) => file && `${file.constructor.name} ${file.of.id}`),
    empty: process.emulated!.isEmpty,
    lockedVm: process.lockedVm,
    pinnedVm: process.pinnedVm,
    regions: process.emulated!.regions.map((region) => {
      const { start, size } = regionBytes(region);
      const { prot, kind, neverWritten, isShared, readOnlyFile, bar, store } = region;
      const device = bar?.device.id ?? null;
      const contents = process.emulated!.isAnonymous(store) ? [] : store.resident();
      return {
        start: hex(start),
        size: hex(size),
        prot,
        kind,
        neverWritten,
        isShared,
        readOnlyFile,
        device,
        contents,
      };
    }),
    contents: process.emulated!.residentPages().map(([page, content]) => ({
      page: hexAddress(page),
      content: typeof content === 'number' ? content : Buffer.from(content).toString('base64'),
    })),
  };
}

function dumpContainer(container: Container) {
  const compat = container instanceof CompatContainer ? container : null;
  const classic = container instanceof ClassicContainer ? container : null;
  return {
    id: container.id,
    open: container.open,
    users: container.file?.users ?? 0,
    process: container.process.id,
    groups: container.groups.map((group) => group.id),
    groupLock: classic && dumpLock(classic.groupLock),
    iommu: classic?.iommu ? dumpIommu(classic.iommu as Type1) : null,
    ioas: compat?.iommu.ioas ? dumpIoas(compat.iommu, compat.iommu.ioas) : null,
  };
}

/** Devices in an order of their own: that in which they were opened cannot be seen. */
function sorted(devices: IommufdCtx['devices']) {
  return [...devices].sort(([a], [b]) => a.number - b.number);
}

/** An IOAS and the devices that were opened through its container. */
function dumpIoas(ctx: IommufdCtx, ioas: Ioas) {
  const { areas, accesses } = ioas;
  return {
    disableLargePages: ioas.disableLargePages,
    iovaAlignment: ioas.iovaAlignment,
    domainDevices: ioas.domainDevices.map((device) => device.id),
    devices: sorted(ctx.devices).map(([{ id }, access]) => ({
      id,
      access: access && {
        slot: access.slot,
        attached: access.ioas !== null,
        unpins: access.ioasUnpin !== null,
        removed: access.removed,
        shorttermUsers: dumpLock(access.shorttermUsers),
      },
    })),
    areas: Array.from(areas.inOrder(), (slot) => ({
      iova: hex(areas.iova(slot)),
      size: hex(areas.length(slot)),
      vaddr: hexAddress(areas.vaddrPage[slot]!, areas.vaddrOffset[slot]!),
      prot: areas.prot[slot]!,
      closed: areas.preventAccess(slot),
      numAccesses: areas.numAccesses[slot]!,
      accounted: areas.pages(slot).accounted,
      pins: Array.from(accessesOf(ioas, slot), (access) => {
        const { page, npage } = keyOf(ioas, slot, access);
        return {
          iova: hexAddress(page),
          npage,
          refCount: accesses.refCount[access]!,
          holders: [...accesses.holdersOf(access)],
        };
      }),
    })),
    stolen: ioas.shadow.stolenPins(),
  };
}

function dumpIommu(iommu: Iommu) {
  const slots = [...iommu.mappings.inOrder()];
  return {
    type: iommu.type,
    dmaAvail: iommu.dmaAvail,
    dirtyTracking: iommu.dirtyTracking,
    vaddrInvalidCount: iommu.vaddrInvalidCount,
    nonPinnedGroups: iommu.nonPinnedGroups,
    iovaList: iommu.iovaList.map(({ start, end }) => [hexAddress(start), hex(addressOf(end) - 1n)]),
    emulatedGroups: iommu.emulatedGroups.map((group) => group.id),
    domainGroups: iommu.domainGroups.map((group) => group.id),
    deviceList: iommu.deviceList.map((device) => device.id),
    lock: dumpLock(iommu.lock),
    deviceListLock: dumpLock(iommu.deviceListLock),
    mappings: slots.map((slot) => dumpMapping(iommu, slot)),
    tree: dumpTree(iommu.mappings, new Map(slots.map((slot, i) => [slot, i]))),
  };
}

/** A tree of mappings, by their places in the list of mappings; null is no node. */
interface TreeDump {
  mapping: number;
  red: boolean;
  left: TreeDump | null;
  right: TreeDump | null;
}

/** The mapping tree's shape, which callers can observe. */
function dumpTree(
  mappings: MappingTable,
  places: ReadonlyMap<number, number>,
  slot = mappings.root,
): TreeDump | null {
  if (slot === NIL) return null;
  const { left, right, red } = mappings.nodeAt(slot);
  return {
    mapping: places.get(slot)!,
    red,
    left: dumpTree(mappings, places, left),
    right: dumpTree(mappings, places, right),
  };
}

function dumpMapping(iommu: Iommu, slot: number) {
  const { mappings, pins } = iommu;
  return {
    iova: hexAddress(mappings.iova[slot]!),
    size: hex(addressOf(mappings.size[slot]!)),
    vaddr: hexAddress(mappings.vaddr[slot]!),
    prot: mappings.prot[slot]!,
    iommuMapped: mappings.iommuMapped(slot),
    vaddrInvalid: mappings.vaddrInvalid(slot),
    lockCap: mappings.lockCap(slot),
    owner: { process: iommu.ownerOf(slot).process.number, mm: iommu.ownerOf(slot).mm.number },
    reserved: iommu.reservedPagesOf(slot),
    dirty: dirtyBits(iommu, slot),
    pins: [...pins.nodesOf(mappings.pins[slot]!)].map((pin) => {
      const { iova, pfn, refCount, devices } = describePin(iommu, pin);
      return { iova: hex(iova), pfn: `0x${pfn.toString(16)}`, refCount, holders: devices };
    }),
  };
}

/** The set bits of a mapping's bitmap; null where there is none, which should be so exactly while tracking is off. */
function dirtyBits(iommu: Iommu, slot: number): number[] | null {
  const bitmap: DirtyBitmap | undefined = iommu.bitmapOf(slot);
  if (!bitmap) return null;
  return [...bitmap.ranges()].flatMap(([first, count]) => Array.from({ length: count }, (_, i) => first + i));
}

function dumpDevice(device: Device) {
  const { group, driver } = device;
  return {
    id: device.id,
    number: device.number,
    kind: device.kind,
    openCount: device.openCount,
    files: device.files.map(({ users }) => users),
    memoryEnabled: device.memoryEnabled,
    requests: device.requests,
    openedThrough: device.openedThrough?.id ?? null,
    group: {
      id: group.id,
      container: group.container?.id ?? null,
      containerUsers: group.containerUsers,
      fdOpen: group.fdOpen,
      users: group.file?.users ?? 0,
      revoked: group.revoked,
      fileOpen: group.fileOpen,
      dmaOwnerClaimed: group.dmaOwnerClaimed,
      // Set anew by each attach; before, it means nothing.
      pinnedPageDirtyScope: group.container?.hasDirtyScope ? group.pinnedPageDirtyScope : null,
      lock: dumpLock(group.lock),
    },
    driver: dumpDriver(driver),
  };
}

/** What a driver was asked to be, and its own state. */
function dumpDriver(driver: MdevDriver) {
  return {
    config: structuredClone(driver.describe?.() ?? driver.config ?? null),
    state: driver.state?.(Number.POSITIVE_INFINITY) ?? null,
  };
}

/** Who holds a lock and who waits, by the names of their calls; null for one that is free. */
function dumpLock({ owner, readers, waiters, wedgedBy }: Lock) {
  if (!owner && readers.size === 0) return null;
  return {
    owner: owner?.call ?? null,
    readers: [...readers].map(({ call }) => call),
    waiters: waiters.map(({ task }) => task.call),
    wedgedBy: wedgedBy && splatReport(wedgedBy),
  };
}

/** A call under way. */
function dumpTask({ call, device, callback, waitsFor, held }: Task) {
  return {
    call,
    device: device ?? null,
    callback: callback && { mode: callback.mode, device: callback.device },
    waitsFor: waitsFor?.name ?? null,
    holds: held.map((lock) => lock.name),
  };
}
