import type { CallObject } from '../../schemas/calls.ts';
import type { Host } from '../../src/host/host.ts';
import { DEFAULT_LIMITS } from '../../src/host/limits.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { hostOf } from '../harness/host.ts';
import { synthetic } from '../harness/test-rig.ts';

/** A call that is refused: in what state, and how. */
export interface Refusal {
  call: string;
  condition: string;
  setup: readonly CallObject[];
  args: Record<string, unknown>;
  /** An errno; the HTTP status of a request that is wrong; `wedged`; or `warned`: it answers nothing and warns. */
  answer: string | number;
  /** Kinds or conditions of what the kernel prints. */
  log: readonly string[];
}

/** A row of the tables: call, condition, state, arguments, answer, and what is printed where it is. */
export function refusal(
  call: string,
  condition: string,
  setup: readonly CallObject[],
  args: Record<string, unknown>,
  answer: string | number,
  log: readonly string[] = [],
): Refusal {
  return { call, condition, setup, args, answer, log };
}

/** A host on which every limit can be met with a few calls; of 6.1 unless asked for another. */
export function smallHost(version = '6.1'): Host {
  return hostOf(generationOf(version)!, {
    ...DEFAULT_LIMITS,
    processes: 2,
    containers: 2,
    devices: 4,
    regions: 2,
    files: 12,
    residentPages: 4,
    dirtyBitmapBytes: 4096,
    bitmapBytes: 4096,
    pendingCalls: 3,
    faults: 2,
  });
}

/** A device with its group open; `driver` null is a vfio-pci device. */
export function device(id: string, driver: string | null = 'unpin-range', more: object = {}): CallObject[] {
  const kind = driver === null ? { kind: 'vfio-pci' } : { driver: synthetic(driver, more) };
  return [
    { call: 'create-device', device: id, ...kind },
    { call: 'open-group', device: id },
  ];
}

/** Into container c0 with it, the IOMMU set (by the first device), the device open. */
export function opened(id: string, type: number | null, driver?: string | null, more?: object): CallObject[] {
  return [
    ...device(id, driver, more),
    { call: 'set-container', device: id, container: 'c0' },
    ...(type === null ? [] : [{ call: 'set-iommu', container: 'c0', type }]),
    { call: 'open-device', device: id },
  ];
}

export const CONTAINER: CallObject[] = [{ call: 'open-container', container: 'c0' }];
/** Container c0 with type1v2 and an open mdev d0. */
export const V2: CallObject[] = [...CONTAINER, ...opened('d0', 3)];
/** The same with type1. */
export const V1: CallObject[] = [...CONTAINER, ...opened('d0', 1)];
/** The same with a device behind the IOMMU. */
export const PCI: CallObject[] = [...CONTAINER, ...opened('d0', 3, null)];
/** A container whose file is closed; the device's group still holds it. */
export const CLOSED: CallObject[] = [...V2, { call: 'close-container', container: 'c0' }];

export const START: CallObject = { call: 'dirty-start', container: 'c0' };

/** A mapping of c0; vaddr 2 MiB above the IOVA. */
export function map(iova: number, size: number, flags = 3, vaddr = iova + 0x200000): CallObject {
  return { call: 'map-dma', container: 'c0', iova, vaddr, size, flags };
}
export function pin(iova: number, npage = 1, id = 'd0'): CallObject {
  return { call: 'pin-pages', device: id, iova, npage, prot: 1 };
}
export function unmap(iova: number, size: number, flags = 0): CallObject {
  return { call: 'unmap-dma', container: 'c0', iova, size, flags };
}
/** Memory of p0; the first region makes all the rest invalid. */
export function region(start: number, size: number, prot = 3): CallObject {
  return { call: 'add-memory-region', process: 'p0', start, size, prot };
}
/** A number also drops CAP_IPC_LOCK. */
export function memlock(bytes: number): CallObject {
  return { call: 'set-memlock', process: 'p0', bytes };
}

/** V2 with d0 open so often that p0 may open nothing more. */
export const FULL_TABLE: CallObject[] = [
  ...V2,
  ...Array.from({ length: 9 }, () => ({ call: 'open-device', device: 'd0' })),
];

/** V2 with three pages mapped at 0x10000. */
export const MAPPED: CallObject[] = [...V2, map(0x10000, 0x3000)];
/**
 * An unmap was killed by a BUG_ON: iommu->lock is held for ever. d0 listens and is open; d1 listens and is not open;
 * d2 does not listen, is open, and unpins what it holds at its close.
 */
export const WEDGED: CallObject[] = [
  ...CONTAINER,
  ...opened('d0', 3, 'ignore'),
  ...device('d1'),
  { call: 'set-container', device: 'd1', container: 'c0' },
  ...opened('d2', null, 'no-callback', { unpinOnClose: true }),
  map(0x10000, 0x3000),
  pin(0x10000),
  pin(0x11000, 1, 'd2'),
  unmap(0x10000, 0x3000),
];
