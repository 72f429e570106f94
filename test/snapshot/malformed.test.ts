import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import type { Host } from '../../src/host/host.ts';
import { Refused } from '../../src/machine/refused.ts';
import { checkSnapshot } from '../../src/snapshot/restore.ts';
import { newHost } from '../harness/host.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import { synthetic } from '../harness/test-rig.ts';
import { make, textOf } from './restored.ts';

// biome-ignore lint/suspicious/noExplicitAny: documents that are wrong have no type
type Json = any;

/** A host with something of everything: c0 with pins and dirty bits, c1 wedged, every driver with a state. */
function fullHost(): Host {
  const host = newHost();
  const join = (device: string, container: string, more: object): CallObject[] => [
    { call: 'create-device', device, ...more },
    { call: 'open-group', device },
    { call: 'set-container', device, container },
  ];
  const region = { call: 'add-memory-region', process: 'p1', prot: 3 };
  const calls: CallObject[] = [
    { call: 'create-process', process: 'p1' },
    { ...region, start: 0, size: 0x100000 },
    { ...region, start: 0x200000, size: 0x1000 },
    { call: 'write-memory', process: 'p1', vaddr: 0x4010, data: 'AQID' },
    { call: 'fill-memory', process: 'p1', vaddr: 0x6000, length: 0x2000, byte: 7 },
    { call: 'open-container', container: 'c0', process: 'p1' },
    { call: 'open-container', container: 'c1' },
    ...join('d0', 'c0', { driver: synthetic('ignore') }),
    ...join('d1', 'c0', { driver: { type: 'vfio-ap', queues: [1, 5] } }),
    ...join('d2', 'c0', { driver: { type: 'vfio-ccw' } }),
    ...join('d3', 'c0', { driver: { type: 'gvt-g' } }),
    ...join('d4', 'c0', { kind: 'vfio-pci' }),
    ...join('d5', 'c1', { driver: synthetic('ignore') }),
    { call: 'set-iommu', container: 'c0', type: 3 },
    { call: 'set-iommu', container: 'c1', type: 3 },
    ...['d0', 'd1', 'd2', 'd3', 'd4', 'd5'].map((device) => ({ call: 'open-device', device })),
    { call: 'map-dma', container: 'c0', flags: 3, size: 0x1000, iova: 0x80000, vaddr: 0 },
    { call: 'unmap-dma', container: 'c0', size: 0x1000, iova: 0x80000 },
    ...Array.from({ length: 12 }, (_, i) => ({
      ...{ call: 'map-dma', container: 'c0', flags: 3, size: 0x2000 },
      ...{ iova: 0x3000 * i, vaddr: 0x3000 * i },
    })),
    { call: 'pin-pages', device: 'd0', iova: 0x3000, npage: 2, prot: 3 },
    { call: 'pin-pages', device: 'd3', iova: 0x3000, npage: 1, prot: 3 },
    { call: 'unpin-pages', device: 'd2', iova: 0x4000, npage: 1 },
    { call: 'pin-pages', device: 'd0', iova: 0x4000, npage: 1, prot: 3 },
    { call: 'dirty-start', container: 'c0' },
    { call: 'ap-enable-interrupt', device: 'd1', apqn: 5, nib: 0x6010, isc: 2 },
    { call: 'ap-inject', device: 'd1', apqn: 1, instruction: 'tapq', responses: [3] },
    { call: 'ccw-inject', device: 'd2', operation: 'halt' },
    { call: 'gvt-map-page', device: 'd3', gfn: 6, size: '4K' },
    { call: 'gvt-map-page', device: 'd3', gfn: 7, size: '4K' },
    { call: 'add-fault', on: 'map-dma', nth: 99, errno: 'EIO' },
    { call: 'map-dma', container: 'c1', iova: 0, vaddr: 0, size: 0x1000, flags: 3 },
    { call: 'pin-pages', device: 'd5', iova: 0, npage: 1, prot: 3 },
    { call: 'unmap-dma', container: 'c1', iova: 0, size: 0x1000 },
  ];
  for (const call of calls) make(host, call);
  return host;
}

const GOOD = textOf(fullHost());

/** What the AP devices share, one of its queues, and one that is taken from the driver. */
const ap = (state: Json) => state.models['vfio-ap'];
const queueOf = (state: Json, apqn: number) => ap(state).queues.find((q: Json) => q.apqn === apqn);
const fileOf = (state: Json, of: string) => state.files.find((f: Json) => f.of === of);
const double = (list: Json[]) => list.push(list[0]);
const unbind = (state: Json, apqn: number) =>
  Object.assign(queueOf(state, apqn), { bound: false, mdev: null, savedIova: null, savedIsc: null });

/** What is wrong, what the problem must name, and how to make it so of a good snapshot's state. */
const WRONG: [string, string, (state: Json, document: Json) => void][] = [
  ['another format', 'format', (_, d) => Object.assign(d, { format: 'x' })],
  ['another version', 'version is 2, but must be 1', (_, d) => Object.assign(d, { version: 2 })],
  ['no such kernel', 'kernel', (_, d) => Object.assign(d, { kernel: '6.2' })],
  ['a field too many', 'extra', (s) => Object.assign(s, { extra: 1 })],
  [
    'numbers of which none is left',
    'deviceNumber is 2147483647, but must be an integer from 0 to 2^30',
    (s) => (s.next.deviceNumber = 2 ** 31 - 1),
  ],
  ['a taint twice', 'taint', (s) => Object.assign(s, { taint: ['D', 'D'] })],
  ['an unknown warning', '"W99"', (s) => s.warnedOnce.push('W99')],
  ['a warning that is no once-only one', '"W3"', (s) => s.warnedOnce.push('W3')],
  ['a warning twice', '"C1" twice', (s) => s.warnedOnce.push('C1', 'C1')],
  ['a warning of no length an id has', 'warnedOnce', (s) => s.warnedOnce.push('W'.repeat(65))],
  [
    'more warnings than there are',
    'warnedOnce',
    (s) => (s.warnedOnce = Array.from({ length: 257 }, (_, i) => `W${i}`)),
  ],
  [
    'fewer pages locked than are pinned',
    'processes/1/lockedVm is 2, but mappings and pins of "p1" have',
    (s) => (s.processes[1].lockedVm = 2),
  ],
  [
    'more pages locked than can have leaked',
    'processes/1/lockedVm is 9007199254740991, more than 4503599627370496 pages more than',
    (s) => (s.processes[1].lockedVm = 2 ** 53 - 1),
  ],
  [
    'more pages pinned than there are',
    'pinnedVm is 9007199254740991, but must be an integer from -2^52 to 2^52',
    (s) => (s.processes[1].pinnedVm = 2 ** 53 - 1),
  ],
  ['a fault without effect', 'faults/0/rule', (s) => delete s.faults[0].rule.errno],
  ['two faults of one id', '"f0" twice', (s) => s.faults.push(s.faults[0])],
  ['a fault that struck too often', 'struck', (s) => Object.assign(s.faults[0], { struck: 1000, seen: 1 })],
  ['no p0', 'is "p0", which is no process', (s) => s.processes.shift()],
  ['a process twice', '"p1" twice', (s) => s.processes.push(s.processes[1])],
  ['a process number still to come', 'processes/1/number', (s) => (s.processes[1].number = 1000)],
  ['a memory still to come', 'processes/1/mm', (s) => (s.processes[1].mm = 1000)],
  ['two processes with one memory', '"0" twice', (s) => (s.processes[1].mm = 0)],
  ['process numbers out of order', 'processes/1', (s) => s.processes.reverse()],
  [
    'a process that has exited and is there',
    'exited/0/number',
    (s) => {
      s.exited = [{ process: 'p8', number: 0, memlock: null }];
      s.containers[1].processNumber = 0;
    },
  ],
  [
    'a process that has exited, and was not made yet',
    'exited/0/number',
    (s) => {
      s.exited = [{ process: 'p8', number: 1000, memlock: null }];
      s.containers[1].processNumber = 1000;
    },
  ],
  [
    'two processes of a number that have exited',
    'exited/1/number is 2, which is no',
    (s) => {
      s.exited = ['p8', 'p9'].map((process) => ({ process, number: 2, memlock: null }));
      s.containers[1].processNumber = 2;
      s.next.processNumber = 3;
    },
  ],
  [
    'a process that has exited, of which nothing is left',
    'exited/0 is of a process that has exited, but neither opened a container nor owns a mapping',
    (s) => (s.exited = [{ process: 'p8', number: 2, memlock: null }]),
  ],
  [
    'a former device of which nothing is left',
    'formerDevices/0 is of a former device that holds no reference',
    (s) => (s.formerDevices = [{ number: 77, device: 'd77' }]),
  ],
  [
    'contents that nobody has',
    'stores/0 is the contents of no region and no device',
    (s) => (s.stores = [{ background: 0, contents: [] }]),
  ],
  [
    'a mapping of no process',
    'owner/process',
    (s) => (s.containers[0].iommu.mappings[0].owner = { process: 99, mm: 0 }),
  ],
  [
    'a mapping of memory that another process has',
    'owner/mm',
    (s) => (s.containers[0].iommu.mappings[0].owner = { process: 0, mm: 1 }),
  ],
  [
    'a mapping of memory that was not made yet',
    'owner/mm',
    (s) => (s.containers[0].iommu.mappings[0].owner = { process: 0, mm: 1000 }),
  ],
  ['a descriptor of no file', 'names file 99', (s) => (s.processes[0].files[0][1] = 99)],
  ['descriptors out of order', 'not above the one before it', (s) => s.processes[0].files.reverse()],
  ['a file that nobody has open', 'that nobody has open', (s) => s.processes[0].files.pop()],
  ['a file of no container', 'files/0/id', (s) => (fileOf(s, 'container').id = 'c9')],
  ['a file of no group', 'no group', (s) => (fileOf(s, 'group').id = 'g99')],
  ['a file of no device', 'no device', (s) => (fileOf(s, 'device').id = 'd99')],
  ['a container with two files', 'one with a file already', (s) => s.files.push(fileOf(s, 'container'))],
  ['a group with two files', 'one with a file already', (s) => s.files.push(fileOf(s, 'group'))],
  [
    'a container that is closed and has a file',
    'container "c0" do not agree',
    (s) => (s.containers[0].open = false),
  ],
  ['a region that overlaps', 'overlaps', (s) => s.processes[1].regions.push(s.processes[1].regions[0])],
  [
    'a region beyond 2^64',
    '2^64',
    (s) => Object.assign(s.processes[1].regions[1], { start: '0xfffffffffffff000', size: '0x2000' }),
  ],
  ['memory out of order', 'contents/1', (s) => s.processes[1].contents.reverse()],
  ['a page that is too short', '4096', (s) => (s.processes[1].contents[0].content = 'AQID')],
  ['an address that is not the shortest', '0x00', (s) => (s.processes[1].contents[0].page = '0x00')],
  ['a page that is none', '0x4001', (s) => (s.processes[1].contents[0].page = '0x4001')],
  ['a group twice', '"g0" twice', (s) => s.groups.push(s.groups[0])],
  ['a group of the wrong kind', 'devices/0/group', (s) => (s.groups[0].emulated = false)],
  [
    'a group that nobody has',
    'is g6',
    (s) => {
      s.groups.push({ ...s.groups[0], group: 'g6', fdOpen: false, pinnedPageDirtyScope: null });
    },
  ],
  [
    'an open group that nobody has',
    'group "g6" do not agree',
    (s) => {
      s.groups.push({ ...s.groups[0], group: 'g6', pinnedPageDirtyScope: null });
    },
  ],
  [
    'a device that is gone twice',
    '"d7" twice',
    (s) => {
      const gone = { number: 0, device: 'd7', kind: 'mdev', group: 'g5' };
      s.goneDevices = [gone, gone];
    },
  ],
  [
    'a device that is gone, and was not made yet',
    'goneDevices/0/number',
    (s) => {
      s.goneDevices = [{ number: 1000, device: 'd7', kind: 'mdev', group: 'g5' }];
    },
  ],
  ['an open group without its file', 'fileOpen', (s) => (s.groups[0].fileOpen = false)],
  ['no dirty scope', 'pinnedPageDirtyScope', (s) => (s.groups[0].pinnedPageDirtyScope = null)],
  [
    'an mdev’s group whose pins are not all',
    'is false, but',
    (s) => (s.groups[0].pinnedPageDirtyScope = false),
  ],
  [
    'a last mapping up to 2^64 that hides nothing',
    'reaches 2^64',
    (s) => (s.containers[0].iommu.mappings[11].iova = '0xffffffffffffe000'),
  ],
  ['a device without group', '"g99"', (s) => (s.devices[0].group = 'g99')],
  ['two mdevs of a group', 'devices/1/group', (s) => (s.devices[1].group = s.devices[0].group)],
  ['two devices of an id', '"d0" twice', (s) => (s.devices[1].device = 'd0')],
  ['device numbers out of order', 'devices/1', (s) => (s.devices[1].number = 0)],
  ['a device number still to come', 'deviceNumber', (s) => (s.next.deviceNumber = 2)],
  ['a former device that is there', 'former', (s) => s.formerDevices.push({ number: 0, device: 'x' })],
  ['an mdev without driver', 'devices/0/driver', (s) => (s.devices[0].driver = null)],
  ['an unknown driver', 'driver', (s) => (s.devices[0].driver = { type: 'none' })],
  ['a driver without its state', 'devices/0/driverState', (s) => (s.devices[0].driverState = null)],
  ["another driver's state", 'driverState', (s) => (s.devices[1].driverState = s.devices[0].driverState)],
  ['own pins out of order', 'driverState/pins/1', (s) => s.devices[0].driverState.pins.reverse()],
  ['nothing shared, but a device', 'vfio-ap is null', (s) => (s.models['vfio-ap'] = null)],
  ['an mdev that is no device', '"d9"', (s) => (ap(s).mdevs[0].device = 'd9')],
  ['a device without its mdev', 'mdevs', (s) => ap(s).mdevs.pop()],
  ['two mdevs of a device', 'mdevs', (s) => ap(s).mdevs.push(ap(s).mdevs[0])],
  ['a queue of no mdev', 'queues/1/mdev', (s) => (ap(s).queues[1].mdev = 'd0')],
  ['a queue twice', 'queues', (s) => ap(s).queues.push(ap(s).queues[0])],
  ['a queue that is linked and not bound', 'linked/0', (s) => unbind(s, ap(s).mdevs[0].linked[0])],
  ['a queue that is not bound and holds something', 'queues/', (s) => (queueOf(s, 5).bound = false)],
  ['queues out of the order of the table', 'linked', (s) => ap(s).mdevs[0].linked.reverse()],
  ['a queue linked twice', 'linked has one of them twice', (s) => double(ap(s).mdevs[0].linked)],
  ['an adapter twice', 'adapters has one of them twice', (s) => double(ap(s).adapters)],
  ['answers of a queue twice', 'vfio-ap/injected/1 must come after', (s) => double(ap(s).injected)],
  [
    'the registration of an ISC as an answer of a queue',
    'gisc-register',
    (s) => (ap(s).injected[0].answers['gisc-register'] = ap(s).injected[0].answers.tapq),
  ],
  ['a hook of no device', 'guests/0/hook', (s) => (ap(s).guests[0].hook = 'd3')],
  ['an empty queue of answers', 'injected', (s) => (s.devices[2].driverState.injected.halt = [])],
  [
    'the work of an interrupt that never came',
    'driverState/irb is null, but',
    (s) => (s.devices[2].driverState.queue.io = 0),
  ],
  [
    'a subchannel that is to go, and no work for it',
    'subchannel/unregistering is "scheduled", but',
    (s) => (s.devices[2].driverState.subchannel.unregistering = 'scheduled'),
  ],
  [
    'work for a subchannel that is not to go',
    'subchannel/unregistering is "no", but',
    (s) => (s.devices[2].driverState.queue.unregister = 0),
  ],
  [
    'work at a place with none before it',
    'models/vfio-ccw has no work at place 0, but "d2" has one at 3',
    (s) => (s.devices[2].driverState.queue.notoper = 3),
  ],
  [
    'two works of a device at one place',
    'queue/unregister is 0, the place of another work of this device',
    (s) => {
      const { queue, subchannel } = s.devices[2].driverState;
      Object.assign(queue, { notoper: 0, unregister: 0 });
      subchannel.unregistering = 'scheduled';
    },
  ],
  ['an entry of a page table twice', 'gtt/2 is there twice', (s) => double(s.devices[3].driverState.gtt)],
  [
    'entries of a page apart',
    'gtt/2/gfn is 0x6, whose entries must follow each other',
    (s) => {
      const { gtt } = s.devices[3].driverState;
      gtt.push({ ...gtt[0], dmaAddr: '0x0' });
    },
  ],
  ['a cache out of order', 'cache/1', (s) => s.devices[3].driverState.cache.reverse()],
  ['DMA addresses out of order', 'dmaAddrs/1/gfn', (s) => s.devices[3].driverState.dmaAddrs.reverse()],
  ['a page without DMA address', 'dmaAddrs must', (s) => s.devices[3].driverState.dmaAddrs.pop()],
  ['a DMA address of no page', 'dmaAddrs/0/gfn', (s) => (s.devices[3].driverState.dmaAddrs[0].gfn = '0x99')],
  ['a red root of DMA addresses', 'dmaAddrs/0/red', (s) => (s.devices[3].driverState.dmaAddrs[0].red = true)],
  [
    'a lock of a driver without one',
    'driverLock',
    (s) => (s.devices[0].driverLock = s.containers[1].iommu.lock),
  ],
  ['an open device that is not called', 'deviceList', (s) => s.containers[0].iommu.deviceList.pop()],
  ['a called device that is closed', '"d0"', (s) => (s.devices[0].openCount = 0)],
  ['a device open more often than it has files', 'whose openCount is 3', (s) => (s.devices[0].openCount = 3)],
  ['a called device that does not listen', '"d4"', (s) => s.containers[0].iommu.deviceList.push('d4')],
  ['a device called twice', 'twice', (s) => s.containers[0].iommu.deviceList.push('d0')],
  [
    'an open device in no container',
    'is "c1", no container',
    (s) => s.containers.pop() && Object.assign(s.groups[5], { pinnedPageDirtyScope: null }),
  ],
  ['a container twice', '"c0" twice', (s) => (s.containers[1].container = 'c0')],
  ['a container of no process', '"p9"', (s) => (s.containers[0].process = 'p9')],
  ['a group of no device', '"g99"', (s) => s.containers[0].groups.push('g99')],
  ['a group in two containers', '"g0"', (s) => s.containers[1].groups.push('g0')],
  ['a group missing from the iommu', 'emulatedGroups', (s) => s.containers[0].iommu.emulatedGroups.pop()],
  [
    'a group of the other kind',
    '"g4"',
    (s) => {
      const { iommu } = s.containers[0];
      iommu.emulatedGroups.push(...iommu.domainGroups.splice(0));
    },
  ],
  ['a domain that never was', 'hadDomain', (s) => (s.containers[0].iommu.hadDomain = false)],
  ['no such iommu type', 'type is 2', (s) => (s.containers[0].iommu.type = 2)],
  ['pins without v2', 'type', (s) => (s.containers[0].iommu.type = 1)],
  ['more mappings than a limit', 'dmaAvail', (s) => (s.containers[0].iommu.dmaAvail = 2 ** 32 - 1)],
  [
    'overlaps of nothing',
    'overlapPossible',
    (s) => Object.assign(s.containers[0].iommu, { mappings: [], overlapPossible: true }),
  ],
  ['mappings out of order', 'mappings/1/iova', (s) => (s.containers[0].iommu.mappings[0].iova = '0x9000')],
  ['mappings that overlap', 'mappings/1/iova', (s) => (s.containers[0].iommu.mappings[0].size = '0x4000')],
  ['a mapping beyond 2^64', '2^64', (s) => (s.containers[0].iommu.mappings[11].size = '0x10000000000000000')],
  ['a mapping of no size', 'size', (s) => (s.containers[0].iommu.mappings[0].size = '0x0')],
  ['a red root', 'root', (s) => (s.containers[0].iommu.mappings.find((m: Json) => m.depth === 0).red = true)],
  ['no root', 'depth', (s) => (s.containers[0].iommu.mappings.find((m: Json) => m.depth === 0).depth = 5)],
  ['two roots', 'depth', (s) => (s.containers[0].iommu.mappings[0].depth = 0)],
  ['a level left out', 'depth', (s) => (s.containers[0].iommu.mappings[11].depth = 40)],
  [
    'a red mapping made black',
    'black',
    (s) => (s.containers[0].iommu.mappings.find((m: Json) => m.red).red = false),
  ],
  [
    'red below red',
    'red',
    (s) => {
      for (const mapping of s.containers[0].iommu.mappings) if (mapping.depth > 0) mapping.red = true;
    },
  ],
  [
    'a pin elsewhere',
    'not in the mapping',
    (s) => (s.containers[0].iommu.mappings[1].pins[1].iova = '0x9000'),
  ],
  ['pins out of order', 'pins/1', (s) => s.containers[0].iommu.mappings[1].pins.reverse()],
  [
    "a page frame of another process's",
    'pfn',
    (s) => (s.containers[0].iommu.mappings[1].pins[0].pfn = '0x1'),
  ],
  [
    'a holder that never was',
    'number of no device',
    (s) => (s.containers[0].iommu.mappings[1].pins[0].holders[0][0] = 77),
  ],
  ['a holder twice', 'twice', (s) => s.containers[0].iommu.mappings[1].pins[0].holders.push([0, 1])],
  ['a pin nobody holds', 'holders', (s) => (s.containers[0].iommu.mappings[1].pins[0].holders = [])],
  ['a holder with nothing', 'holders', (s) => (s.containers[0].iommu.mappings[1].pins[0].holders[0][1] = 0)],
  [
    'too many references',
    '2147483647',
    (s) => {
      s.containers[0].iommu.mappings[1].pins[0].holders = [
        [0, 2 ** 31 - 1],
        [1, 1],
      ];
    },
  ],
  [
    'a vaddr that is invalid beside an mdev',
    'vaddrInvalid is true',
    (s) => (s.containers[0].iommu.mappings[0].vaddrInvalid = true),
  ],
  [
    'a region whose place in its file reaches 2^64',
    '/from is 0xfffffffffffff000',
    (s) => (s.processes[1].regions[0].from = '0xfffffffffffff000'),
  ],
  ['dirty bits without tracking', 'dirty', (s) => (s.containers[0].iommu.dirtyTracking = false)],
  [
    'dirty words beyond the bitmap',
    'words',
    (s) => (s.containers[0].iommu.mappings[0].dirty = [[5, 1, '0x1']]),
  ],
  ['dirty words that are clean', 'are 0', (s) => (s.containers[0].iommu.mappings[0].dirty = [[0, 1, '0x0']])],
  [
    'dirty words twice',
    'run before',
    (s) =>
      (s.containers[0].iommu.mappings[0].dirty = [
        [0, 1, '0x1'],
        [0, 1, '0x1'],
      ]),
  ],
  [
    'more pages without a charge than a mapping has',
    'mappings/0/reservedPages is 3, but the mapping has 2 pages',
    (s) => (s.containers[0].iommu.mappings[0].reservedPages = 3),
  ],
  [
    'pages without a charge of a mapping in no domain',
    'mappings/0/reservedPages is there, but the mapping is in no IOMMU domain',
    (s) => (s.containers[1].iommu.mappings[0].reservedPages = 1),
  ],
  ['a lost key of nobody', 'stolen', (s) => s.containers[0].iommu.stolen.push({ device: 77, iova: '0x0' })],
  ['a lock nobody holds', 'owner or readers', (s) => (s.containers[1].iommu.lock.owner = null)],
  [
    'a mutex that is shared',
    'mutex',
    (s) => Object.assign(s.containers[1].iommu.lock, { owner: null, readers: ['x'] }),
  ],
  ['a lock held for no reason', 'lock', (s) => delete s.containers[1].iommu.lock.splat],
];

const host = fullHost();
const before = dumpKernel(host.kernel);

/** Why a document is refused. */
function refusal(document: unknown): Refused {
  try {
    host.restore(checkSnapshot(document, 'body'), 'body');
  } catch (error) {
    if (error instanceof Refused) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

test.each(WRONG)('%s: refused, and nothing has changed', (_, named, spoil) => {
  const document = JSON.parse(GOOD);
  spoil(document.state, document);
  const { kind, message } = refusal(document);
  expect(message).toContain(named);
  expect(message).toMatch(/^body/);
  expect(kind).toBe('invalid');
  expect(dumpKernel(host.kernel)).toEqual(before);
  expect(textOf(host)).toBe(GOOD);
});

/** `next.call`, which older snapshots do not have. */
function isCallCount(holder: Json, key: string): boolean {
  return key === 'call' && 'deviceNumber' in holder;
}

/** Every place in a value: its holder and its key. */
function* places(value: Json): Generator<[Json, string]> {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    yield [value, key];
    yield* places(value[key]);
  }
}

test('whatever is left out or of another type is refused, and nothing has changed', () => {
  const count = [...places(JSON.parse(GOOD))].length;
  let refused = 0;
  for (let i = 0; i < count; i++) {
    for (const value of [undefined, { not: 'this' }, -1.5]) {
      const document = JSON.parse(GOOD);
      const [holder, key] = [...places(document)][i]!;
      // A driver's optional fields, what a splat was about, and elements of lists, may be missing.
      const subject = 'condition' in holder && !/kind|function|condition|file|line/.test(key);
      const ofProcess = 'memlock' in holder && /^(number|mm|files)$/.test(key);
      const ofHost = /^(files|exited|stores|goneDevices|processNumber|mmNumber)$/.test(key);
      const optional =
        value === undefined &&
        (Array.isArray(holder) ||
          subject ||
          ofProcess ||
          ofHost ||
          /queues|variant|nth|reads|history/.test(key) ||
          isCallCount(holder, key));
      if (optional || /emptyUnpin|injected|halt|tapq|errno/.test(key)) continue;
      if (value === undefined) delete holder[key];
      else holder[key] = value;
      expect(refusal(document).kind, `${key} ${JSON.stringify(value)}`).toBe('invalid');
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(1000);
  expect(textOf(host)).toBe(GOOD);
});
