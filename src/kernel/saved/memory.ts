import type { RegionKind } from '../../../schemas/kinds.ts';
import type { SavedProcess, SavedRegion, SavedStore } from '../../../schemas/snapshot/process.ts';
import { Budget } from '../../budget.ts';
import { tooMuch } from '../counted.ts';
import type { EmulatedMemory } from '../emulated-memory.ts';
import type { OpenFile } from '../files.ts';
import type { Kernel } from '../kernel.ts';
import { isNeverWritten, type MemoryRegion, regionBytes } from '../memory-region.ts';
import { barOf } from '../mmap.ts';
import { type PageContent, PageStore } from '../page-store.ts';
import { addressOf, hex, hexAddress, PAGE_SIZE, pageOf, TOP } from '../pages.ts';
import type { ListOf } from '../vfio/container.ts';
import { checkAscending, WrongState, wrong } from './checks.ts';
import { each, eachWithPauses } from './each.ts';
import type { RestoredFiles } from './files.ts';

/** The contents that several regions or processes may have, or that a device has: numbered as they are met. */
export class SavedStores {
  private readonly numbers = new Map<PageStore, number>();

  numberOf(store: PageStore): number {
    const number = this.numbers.get(store) ?? this.numbers.size;
    this.numbers.set(store, number);
    return number;
  }

  save(list: ListOf): SavedStore[] {
    return [...this.numbers.keys()].map((store) => ({
      background: store.background,
      contents: list(eachWithPauses(store.eachResident(), savedPage)),
    }));
  }
}

/** The memory of a process: its regions, and what is in anonymous memory. */
export function saveMemory(
  memory: EmulatedMemory,
  stores: SavedStores,
  files: ReadonlyMap<OpenFile, number>,
  list: ListOf,
): Pick<SavedProcess, 'regions' | 'contents' | 'empty'> {
  // Contents have their numbers before any list is written.
  for (const { store, bar } of memory.regions) if (!bar && !memory.isAnonymous(store)) stores.numberOf(store);
  return {
    ...(memory.isEmpty ? { empty: true as const } : {}),
    regions: list(each(memory.regions, (region) => saveRegion(memory, region, stores, files))),
    contents: list(eachWithPauses(memory.eachResidentPage(), savedPage)),
  };
}

function saveRegion(
  memory: EmulatedMemory,
  region: MemoryRegion,
  stores: SavedStores,
  files: ReadonlyMap<OpenFile, number>,
): SavedRegion {
  const { start, size } = regionBytes(region);
  const { prot, kind, neverWritten, store, base, isShared, readOnlyFile, bar } = region;
  const own = memory.isAnonymous(store);
  return {
    start: hex(start),
    size: hex(size),
    prot,
    ...(kind === 'anonymous' ? {} : { kind }),
    ...(neverWritten === isNeverWritten(kind, prot) ? {} : { neverWritten }),
    ...(own ? {} : { from: hex(addressOf(region.start - base)) }),
    ...(own || bar ? {} : { store: stores.numberOf(store) }),
    ...(isShared && !bar ? { shared: true as const } : {}),
    ...(readOnlyFile ? { readOnlyFile: true as const } : {}),
    ...(bar ? { device: bar.device.id, file: files.get(bar.file)! } : {}),
  };
}

function savedPage([page, content]: readonly [number, PageContent]): SavedProcess['contents'][number] {
  return { page: hexAddress(page), content: typeof content === 'number' ? content : base64(content) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/** Contents again. */
export function* restoreStores(
  kernel: Kernel,
  saved: readonly SavedStore[],
  where: string,
): Generator<void, PageStore[]> {
  const stores: PageStore[] = [];
  for (const [i, { background, contents }] of saved.entries()) {
    const store = new PageStore(new Budget(kernel.limits.residentPages, kernel.pages), background);
    const set = (page: number, content: PageContent) => store.set(page, content);
    yield* restoreContents(kernel, contents, set, `${where}/${i}/contents`);
    stores.push(store);
  }
  return stores;
}

/** The memory of a fresh process; devices, their files and shared contents are there. */
export function* restoreMemory(
  kernel: Kernel,
  memory: EmulatedMemory,
  saved: SavedProcess,
  stores: readonly PageStore[],
  files: RestoredFiles,
  where: string,
): Generator<void, void> {
  if (saved.empty) memory.clear();
  const held = new Set<OpenFile>();
  let end = 0n;
  const inOrder = saved.regions
    .map((region, i) => ({ region, at: `${where}/regions/${i}` }))
    .sort((a, b) => (BigInt(a.region.start) < BigInt(b.region.start) ? -1 : 1));
  for (const { region, at } of inOrder) {
    const [start, size] = [BigInt(region.start), BigInt(region.size)];
    if (start < end) throw wrong(at, `(${region.start}, size ${region.size}) overlaps another region`);
    end = start + size;
    if (BigInt(region.from ?? '0x0') + size > TOP)
      throw wrong(`${at}/from`, `is ${region.from}, from which size reaches beyond 2^64`);
    const errno = memory.map(start, size, regionOf(kernel, region, stores, files, held, at));
    if (errno === 'ENOMEM') throw new WrongState(`${at}: ${tooMuch(kernel.objects)}`, true);
    if (errno) throw wrong(at, `(${region.start}, size ${region.size}) reaches beyond 2^64`);
  }
  yield* restoreContents(
    kernel,
    saved.contents,
    (page, content) => memory.restorePage(page, content),
    `${where}/contents`,
  );
}

function regionOf(
  kernel: Kernel,
  saved: SavedRegion,
  stores: readonly PageStore[],
  files: RestoredFiles,
  held: Set<OpenFile>,
  at: string,
) {
  const { prot } = saved;
  const kind: RegionKind = saved.kind ?? 'anonymous';
  const base = pageOf(BigInt(saved.start)) - pageOf(BigInt(saved.from ?? '0x0'));
  const region = { prot, kind, neverWritten: saved.neverWritten ?? isNeverWritten(kind, prot) };
  if (kind === 'device') {
    const device = kernel.devices.get(saved.device ?? '');
    if (!device || saved.file === undefined)
      throw wrong(at, 'is of a device, but names none that is there with a file');
    const file = files.ofNumber(saved.file, `${at}/file`);
    if (!held.has(file)) file.users++;
    held.add(file);
    return { ...region, base, bar: { device, file }, store: barOf(kernel, device), isShared: true };
  }
  if (saved.store === undefined) {
    if (kind !== 'anonymous' && kind !== 'hugetlb') throw wrong(at, `is of kind "${kind}", but has no store`);
    return region;
  }
  const store = stores[saved.store];
  if (!store) throw wrong(`${at}/store`, `is ${saved.store}, which there is not`);
  return {
    ...region,
    base,
    store,
    isShared: saved.shared ?? false,
    readOnlyFile: saved.readOnlyFile ?? false,
  };
}

function* restoreContents(
  kernel: Kernel,
  contents: SavedProcess['contents'],
  set: (page: number, content: PageContent) => void,
  where: string,
): Generator<void, void> {
  const { residentPages } = kernel.limits;
  if (contents.length > residentPages) {
    throw new WrongState(
      `${where} has ${contents.length} pages; a process holds at most ${residentPages}`,
      true,
    );
  }
  checkAscending(
    contents.map(({ page }) => BigInt(page)),
    where,
  );
  for (const [i, { page, content }] of contents.entries()) {
    const bytes = typeof content === 'number' ? content : Buffer.from(content, 'base64');
    if (typeof bytes !== 'number' && bytes.length !== PAGE_SIZE) {
      throw wrong(`${where}/${i}/content`, `has ${bytes.length} bytes, but must have ${PAGE_SIZE}`);
    }
    if (!kernel.pages.has(1)) {
      throw new WrongState(
        `${where} has more pages than this host keeps with contents: ${kernel.pages.most}`,
        true,
      );
    }
    if (i % 256 === 0) yield;
    // A copy of its own: a small Buffer shares its memory with others.
    set(pageOf(BigInt(page)), typeof bytes === 'number' ? bytes : new Uint8Array(bytes));
  }
}
