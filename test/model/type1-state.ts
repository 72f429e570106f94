import type { Kernel } from '../../src/kernel/kernel.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import type { NaiveHost } from './naive-model.ts';
import { hex } from './naive-values.ts';

/** Fields of an answer that both sides know. */
const FIELDS = ['size', 'pinned', 'value', 'dirtyPages', 'data', 'dmaAvail'];

/** Those fields of a body. */
export function known(body: Record<string, unknown>) {
  return Object.fromEntries(Object.entries(body).filter(([field]) => FIELDS.includes(field)));
}

/** References by device, whoever came first. */
function count(refs: readonly string[]): { device: string; count: number }[] {
  const devices = [...new Set(refs)];
  return devices.map((device) => ({ device, count: refs.filter((ref) => ref === device).length }));
}

/** The state of the model, as far as the emulator's dump has it too. */
export function modelState(model: NaiveHost) {
  const sorted = <T>(objects: Map<string, T>) => [...objects].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    containers: sorted(model.containers).map(([id, { open, groups, iommu }]) => ({
      id,
      open,
      devices: groups.map((device) => device.id),
      listening: iommu?.listening.map((device) => device.id) ?? null,
      mappings: iommu?.mappings().map(({ iova, size, vaddr, prot, lockCap, pins }) => ({
        iova: hex(iova),
        size: hex(size),
        vaddr: hex(vaddr),
        prot,
        lockCap,
        pins: [...pins]
          .sort((a, b) => (a.key < b.key ? -1 : 1))
          .map(({ key, refs }) => ({ iova: hex(key), refCount: refs.length, holders: count(refs) })),
      })),
    })),
    devices: sorted(model.devices).map(([id, { opens, groupFd, groupFile, driver }]) => ({
      id,
      opens,
      groupFd,
      groupFile,
      own: driver.own.map(hex),
    })),
  };
}

/** The same of the emulator. */
export function emulatedState(kernel: Kernel): ReturnType<typeof modelState> {
  const { containers, devices } = dumpKernel(kernel);
  const deviceOf = (group: string) => devices.find((device) => device.group.id === group)!.id;
  return {
    containers: containers.map(({ id, open, groups, iommu }) => ({
      id,
      open,
      devices: groups.map(deviceOf),
      listening: iommu?.deviceList ?? null,
      mappings: iommu?.mappings.map(({ iova, size, vaddr, prot, lockCap, pins }) => ({
        iova,
        size,
        vaddr,
        prot,
        lockCap,
        pins: pins.map(({ iova: key, refCount, holders }) => ({ iova: key, refCount, holders })),
      })),
    })),
    devices: devices.map(({ id, openCount, group, driver }) => ({
      id,
      opens: openCount,
      groupFd: group.fdOpen,
      groupFile: group.fileOpen,
      own: (driver.state as { pins: { iova: string; times: number }[] }).pins.flatMap(({ iova, times }) =>
        new Array<string>(times).fill(iova),
      ),
    })),
  };
}
