import type { Kernel } from '../../src/kernel/kernel.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import type { Area } from './naive-iommufd.ts';
import type { NaiveIommufdHost } from './naive-iommufd-host.ts';
import { hex, PAGE, pageOf } from './naive-values.ts';

/** Fields of an answer that both sides know. */
const FIELDS = ['size', 'pinned', 'value', 'data', 'dmaAvail'];

/** Those fields of a body. */
export function known(body: Record<string, unknown>) {
  return Object.fromEntries(Object.entries(body).filter(([field]) => FIELDS.includes(field)));
}

/** Pins of a mapping, as the emulator's dump has them. */
function pinsOf(area: Area, numbers: ReadonlyMap<string, number>) {
  const [first, end] = [pageOf(area.vaddr), pageOf(area.vaddr + area.size)];
  return area.memory.accesses
    .filter((access) => access.first >= first && access.first < end)
    .sort((a, b) => (a.first === b.first ? Number(a.last - b.last) : a.first < b.first ? -1 : 1))
    .map((access) => ({
      iova: hex(area.iova + (access.first - first) * PAGE),
      npage: Number(access.last - access.first) + 1,
      refCount: access.refs.length,
      holders: [...new Set(access.refs)].map((id) => [
        numbers.get(id)!,
        access.refs.filter((ref) => ref === id).length,
      ]),
    }));
}

/** The state of both, as far as both know it. */
export function states(model: NaiveIommufdHost, kernel: Kernel) {
  const dump = dumpKernel(kernel);
  const numbers = new Map(dump.devices.map(({ id, number }) => [id, number]));
  const modelled = [...model.containers.values()]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, open, context }) => ({
      id,
      open,
      called: context?.slots.map((one) => one?.id ?? null).filter((one) => one !== null) ?? [],
      areas: model.mappingsOf(id).map((area) => ({
        iova: hex(area.iova),
        size: hex(area.size),
        vaddr: hex(area.vaddr),
        prot: area.prot,
        closed: area.closed,
        numAccesses: area.users,
        accounted: area.memory.accounted,
        pins: pinsOf(area, numbers),
      })),
    }));
  const emulated = dump.containers.map(({ id, open, ioas }) => ({
    id,
    open,
    called: (ioas?.devices ?? [])
      .filter(({ access }) => access?.attached)
      .sort((a, b) => a.access!.slot - b.access!.slot)
      .map((one) => one.id),
    areas: ioas?.areas ?? [],
  }));
  return { modelled, emulated };
}
