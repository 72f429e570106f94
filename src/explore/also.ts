import type { CallObject } from '../../schemas/calls.ts';
import type { AlsoName } from '../../schemas/explore.ts';
import { CONTAINER } from './pages.ts';
import type { Actor } from './parts/part.ts';
import type { Action } from './scene.ts';

/**
 * Kinds of calls that are in a scene only where somebody asks for them: each makes it wider, so that it is searched
 * less deep.
 *
 * What is in no scene, and why: reads (iommu-info, check-extension, group-status, dirty-get, kernel-taint, read-memory,
 * read-requests) change nothing; what only decides what is printed (set-parameters) is no state; attach and detach are
 * made of other calls; memory that is written, mapped or protected (fill-memory, add-memory-region …), faults by chance
 * or with a delay, sleep, exec-process and capabilities have arguments without end and reach no splat that these do not;
 * a device is never made within a search, and its driver stays what it is (create-device, set-driver), because a search
 * that goes back to nothing but numbers would not end.
 */
interface Also {
  /** For help. */
  readonly about: string;
  /** Devices besides those of the drivers. */
  readonly devices?: readonly string[];
  /** Calls that set the scene, after those of the devices. */
  readonly setup?: readonly CallObject[];
  actions(actors: readonly Actor[]): readonly CallObject[];
  /** Actions that can be taken only while a callback is under way. */
  whenUnderway?(actors: readonly Actor[]): readonly Action[];
  /** Whether it matters which number each file of a process has: an exit closes them in that order. */
  readonly isAboutFiles?: boolean;
}

const PROCESS = 'p0';
const CHILD = 'p1';
const PCI = 'pci0';
/** In the same group as the other, and never open. */
const BESIDE = 'pci1';

/** A call on the container. */
const onContainer = (call: string, more: object = {}): CallObject => ({
  call,
  container: CONTAINER,
  ...more,
});

/** Calls for the device of each driver of a type. */
function ofType(actors: readonly Actor[], type: string, calls: (actor: Actor) => CallObject[]): CallObject[] {
  return actors.filter(({ driver }) => driver.type === type).flatMap(calls);
}

/** What a queue answers in place of success: each of these is a branch of its own of the driver. */
const RESPONSES: readonly (readonly [instruction: string, responses: readonly unknown[]])[] = [
  ['tapq', [3]],
  ['tapq', Array.from({ length: 5 }, () => ({ response: 0, irqEnabled: true }))],
  ['tapq', [0x42]],
  ['aqic-enable', [4]],
  ['aqic-disable', [1]],
  ['aqic-disable', [5, 2, 5, 2, 5, 2]],
  ['zapq', [7]],
  ['zapq', [4, { response: 4, irqEnabled: true }]],
  ['zapq', [2, 2]],
  ['zapq', [{ response: 0, queueEmpty: false }]],
];

/** By name. */
export const ALSO: Readonly<Record<AlsoName, Also>> = {
  dirty: {
    about: 'dirty tracking, on and off',
    actions: () => [onContainer('dirty-start'), onContainer('dirty-stop')],
  },
  memlock: {
    about: 'a RLIMIT_MEMLOCK of one page',
    actions: () => [{ call: 'set-memlock', process: PROCESS, bytes: '0x1000' }],
  },
  vaddr: {
    about: 'vaddrs taken from mappings, and given back',
    actions: ([first]) => {
      const { pages } = first!;
      const flags = ['vaddr'];
      return [
        onContainer('unmap-dma', { iova: pages.at(0), size: pages.map(0).size, flags }),
        onContainer('unmap-dma', { iova: '0x0', size: '0x0', flags: ['all', 'vaddr'] }),
        { ...pages.map(0), flags },
      ];
    },
  },
  pci: {
    about: 'a PCI device in the container, and another in its group that is bound to a host driver, and back',
    devices: [PCI, BESIDE],
    setup: [
      { call: 'create-device', device: PCI, kind: 'vfio-pci', group: 'gp' },
      { call: 'create-device', device: BESIDE, kind: 'vfio-pci', group: 'gp' },
      { call: 'open-group', device: PCI },
      { call: 'set-container', device: PCI, container: CONTAINER },
      { call: 'open-device', device: PCI },
    ],
    actions: ([first]) => [
      { call: 'pin-pages', device: PCI, iova: first!.pages.at(0), npage: 1, prot: 3 },
      { call: 'dma-rw', device: PCI, iova: first!.pages.at(0), write: false, length: 1 },
      { call: 'open-device', device: PCI },
      { call: 'close-device', device: PCI },
      { call: 'unset-container', device: PCI },
      ...['vfio-pci', 'none', 'other'].map((to) => ({ call: 'bind-device', device: BESIDE, to })),
    ],
  },
  processes: {
    about: 'a fork, and the end of either process',
    isAboutFiles: true,
    actions: () => [
      { call: 'fork-process', process: PROCESS, child: CHILD },
      { call: 'exit-process', process: PROCESS },
      { call: 'exit-process', process: CHILD },
    ],
  },
  removal: {
    about: 'removal of each device, which waits until it is closed',
    actions: (actors) => actors.map(({ device }) => ({ call: 'remove-device', device })),
  },
  faults: {
    about: 'callbacks to each device that are lost on the way, for a while',
    actions: (actors) =>
      actors.flatMap(({ device }) => {
        const fault = `lost-${device}`;
        return [
          { call: 'add-fault', fault, on: 'dma-unmap', device, every: 1, dropCallback: true },
          { call: 'remove-fault', fault },
        ];
      }),
  },
  responses: {
    about: 'what the queues of vfio-ap answer in place of success',
    actions: (actors) =>
      ofType(actors, 'vfio-ap', ({ device, driver }) => {
        const apqn = (driver as { queues: readonly number[] }).queues[0]!;
        return RESPONSES.map(([instruction, responses]) => ({
          call: 'ap-inject',
          device,
          apqn,
          instruction,
          responses,
        }));
      }),
  },
  hold: {
    about: 'places at which vfio-ccw stops between two steps, and others run',
    actions: (actors) =>
      ofType(actors, 'vfio-ccw', ({ device }) =>
        ['transient-pin', 'release'].map((at) => ({ call: 'ccw-hold', device, at })),
      ),
    whenUnderway: (actors) =>
      ofType(actors, 'vfio-ccw', ({ device }) => [{ call: 'resume-callbacks', device }]).map((call) => ({
        call,
        when: 'held',
      })),
  },
};
