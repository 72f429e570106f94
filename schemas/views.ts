import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { Count, InvalidationEntry, KERNEL_EFFECTS, LogEntry, SplatReport, WaitedInVain } from './answers.ts';
import { FaultFields } from './faults.ts';
import { IommuProperties } from './iommu.ts';
import { Binding, RegionKind } from './kinds.ts';
import { Expect } from './scenario.ts';
import { Hex, oneOf, optional } from './values.ts';

/** An object whose fields depend on the driver. */
const OfDriver = (description: string) => Type.Object({}, { additionalProperties: true, description });

const OrNull = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** READ and WRITE by their names, as answers show them. */
const Prot = Type.Array(oneOf('read', 'write'));

/** A process as it is shown. */
export const ProcessView = Type.Object(
  {
    process: Type.String(),
    memlock: Type.String({ description: 'bytes as 0x…, or "unlimited"' }),
    capIpcLock: Type.Boolean(),
    capSysRawio: Type.Boolean(),
    memory: oneOf('everywhere', 'regions'),
    regions: Type.Array(
      Type.Object({
        start: Hex,
        size: Hex,
        prot: Prot,
        kind: RegionKind,
        device: Type.Optional(Type.String({ description: 'whose BAR 0 it is' })),
      }),
    ),
    files: Type.Array(
      Type.Object({
        container: Type.Optional(Type.String()),
        group: Type.Optional(Type.String()),
        device: Type.Optional(Type.String()),
      }),
      {
        description: 'open files, in the order of their descriptors; an exit closes them the other way round',
      },
    ),
    lockedPages: Count,
    pinnedVm: Type.Optional(
      Type.Integer({ description: 'pages that count as pinned, where the engine counts them (iommufd)' }),
    ),
  },
  { title: 'Process' },
);
export type ProcessView = Static<typeof ProcessView>;

/** A callback that has not returned. */
const CallbackView = Type.Object(
  {
    call: Type.String({
      description: 'dma-unmap, open-device, close-device, or hold: a place where it was told to stop',
    }),
    device: Type.String(),
    mode: Type.String({
      description: 'held: until resume-callbacks; outside: until its driver has answered',
    }),
    iova: Type.Optional(Hex),
    length: Type.Optional(Hex),
    attempt: Type.Optional(Type.Integer({ description: 'visit of this mapping, from 1' })),
    round: Type.Optional(Type.Integer({ description: 'invalidation round within this unmap, from 1' })),
  },
  { title: 'Callback' },
);

/** A call that is under way: it waits for a lock or a callback. */
export const UnderwayView = Type.Object(
  {
    seq: Type.Integer({ description: 'of its journal entry' }),
    call: Type.Object({ call: Type.String() }, { additionalProperties: true }),
    waitsFor: Type.String({ description: 'in words' }),
    callback: Type.Optional(CallbackView),
  },
  { title: 'Underway' },
);
export type UnderwayView = Static<typeof UnderwayView>;

/** A container as it is shown. */
export const ContainerView = Type.Object(
  {
    container: Type.String(),
    process: Type.String(),
    open: Type.Boolean({ description: 'whether its file is open' }),
    groups: Type.Array(Type.String(), { description: 'attached groups' }),
    iommu: OrNull(
      Type.Object({
        type: OrNull(Type.Integer({ description: 'the IOMMU type that was set' })),
        mappings: Count,
        pins: Count,
        dmaAvail: OrNull(Type.Integer({ description: 'mappings that may still be made' })),
        dirtyTracking: Type.Boolean(),
        devices: Type.Array(Type.String(), { description: 'devices that are called back, in this order' }),
      }),
    ),
    wedged: OrNull(SplatReport),
    underway: Type.Optional(
      Type.Array(UnderwayView, { description: 'calls on it that are under way; absent where there is none' }),
    ),
  },
  { title: 'Container' },
);
export type ContainerView = Static<typeof ContainerView>;

/** Fields of a device as it is shown. */
export const DeviceFields = {
  device: Type.String(),
  group: Type.String(),
  kind: Type.String({ description: 'mdev or vfio-pci' }),
  boundTo: Type.Optional(Binding),
  driver: Type.Optional(OfDriver('its configuration')),
  state: Type.Optional(OfDriver('what the driver remembers')),
  iommu: Type.Optional(
    Type.Object(
      {
        ...IommuProperties.properties,
        recorded: Type.Boolean({ description: 'whether one like it was recorded; false: from public facts' }),
      },
      { description: 'the IOMMU it was asked to lie behind' },
    ),
  ),
  openCount: Count,
  groupOpen: Type.Boolean(),
  container: OrNull(Type.String()),
  callback: Type.Optional(
    Type.Object(
      { ...CallbackView.properties, of: Type.Integer({ description: 'seq of the call that made it' }) },
      { description: 'a callback of its driver that has not returned' },
    ),
  ),
};
export const DeviceView = Type.Object(DeviceFields, { title: 'Device' });
export type DeviceView = Static<typeof DeviceView>;

/** What driver models keep besides their devices (guests, queues of the host), by the models' types. */
export const ModelsView = Type.Record(Type.String(), OfDriver('what its devices share'), { title: 'Models' });
export type ModelsView = Static<typeof ModelsView>;

/** A DMA mapping of a container; addresses and size in bytes. */
export const MappingView = Type.Object(
  {
    iova: Hex,
    size: Hex,
    vaddr: Hex,
    prot: Prot,
    vaddrInvalid: Type.Boolean(),
    iommuMapped: Type.Boolean({ description: 'whether an IOMMU domain has it in its page tables' }),
    closed: Type.Optional(
      Type.Literal(true, {
        description: 'an unmap has closed it: nothing in it can be pinned or copied (iommufd)',
      }),
    ),
    pins: Type.Integer({ description: 'how many pages of it are pinned' }),
  },
  { title: 'Mapping' },
);
export type MappingView = Static<typeof MappingView>;

/** A pinned page of a container (with iommufd a run of pages), and who holds how many references to it. */
export const PinView = Type.Object(
  {
    iova: Hex,
    npage: Type.Optional(Type.Integer({ description: 'pages, of a pin that has several (iommufd)' })),
    pfn: Hex,
    refCount: Count,
    devices: Type.Array(Type.Object({ device: Type.String(), count: Count })),
  },
  { title: 'Pin' },
);
export type PinView = Static<typeof PinView>;

/** A page of a list; `next` is the `after` of the page that follows. */
export const pageOf = <N extends string, T extends TSchema>(name: N, item: T) =>
  Type.Object({ [name]: Type.Array(item), next: Type.Optional(Type.String()) });

/** A fault injection rule with its counts. */
export const FaultView = Type.Object(
  {
    ...FaultFields,
    fault: Type.String(),
    seen: Type.Integer({ description: 'calls that matched' }),
    struck: Type.Integer({ description: 'times it struck' }),
    paused: Type.Optional(Type.Literal(true, { description: 'it strikes and counts nothing for now' })),
  },
  { title: 'Fault' },
);

/** A kernel generation, and what it has that the one before has not. */
export const KernelView = Type.Object(
  {
    version: Type.String(),
    release: Type.String({ description: 'the release that was recorded, or whose source was read' }),
    recorded: Type.Boolean({
      description: 'false: made of differences that its source shows, held against no real one',
    }),
    current: Type.Boolean(),
    channel: Type.String({
      description: 'how drivers are notified of an unmap: notifier-chain, device-list or access-list',
    }),
    from: Type.Union([Type.String(), Type.Null()], {
      description:
        'the version that it is told apart from: of one that was recorded the recorded one before it',
    }),
    differs: Type.Array(Type.Object({ id: Type.String(), title: Type.String(), text: Type.String() })),
  },
  { title: 'Kernel' },
);

/** A rig as it is listed. */
export const RigView = Type.Object(
  {
    rig: Type.String(),
    kernel: Type.String(),
    taint: Type.Array(Type.String()),
    containers: Count,
    devices: Count,
    pendingCalls: Type.Integer({
      description: 'calls that have not been answered, those that a fault delays too',
    }),
    wedged: Type.Integer({ description: 'containers with a lock that is held for ever' }),
    seq: Type.Integer({ description: 'newest of its journal' }),
    idleSeconds: Count,
  },
  { title: 'Rig' },
);
export type RigView = Static<typeof RigView>;

/** What `GET /v1` says. */
export const HostView = Type.Object(
  {
    name: Type.String(),
    version: Type.String(),
    rig: Type.String(),
    kernel: Type.String(),
    release: Type.String(),
    recorded: Type.Boolean({ description: 'whether the kernel was recorded' }),
    taint: Type.Array(Type.String()),
    panic: Type.Optional(Type.String({ description: 'the line of the panic that the rig is dead of' })),
    processMemory: Type.Union([Type.Literal('emulated'), Type.Literal('real')], {
      description: 'whether create-process may take a pid',
    }),
    parameters: Type.Object({
      dmaEntryLimit: Count,
      warnOnPinnedUnmap: Type.Boolean(),
      adviseNoCallback: Type.Boolean(),
      panicOnWarn: Type.Boolean(),
      panicOnOops: Type.Boolean(),
    }),
    limits: Type.Record(Type.String(), Type.Integer()),
    counts: Type.Object({ processes: Count, containers: Count, devices: Count, pendingCalls: Count }),
    seq: Type.Integer({ description: 'newest of the journal' }),
  },
  { title: 'Host' },
);
export type HostView = Static<typeof HostView>;

/** A call that was answered 202. */
export const OperationView = Type.Object(
  {
    operation: Type.String(),
    call: Type.Object({ call: Type.String() }, { additionalProperties: true }),
    done: Type.Boolean(),
    invalidations: Type.Optional(Type.Array(InvalidationEntry, { description: 'of one under way: so far' })),
    log: Type.Optional(Type.Array(LogEntry)),
    ...optional(KERNEL_EFFECTS),
    answer: Type.Optional(
      Type.Object(
        { status: Type.Integer(), body: Type.Object({}, { additionalProperties: true }) },
        { description: 'what the call would have been answered' },
      ),
    ),
    ...WaitedInVain,
  },
  { title: 'Operation' },
);

/** A call that was answered 202, as it is listed. */
export const OperationLine = Type.Object(
  {
    operation: Type.String(),
    call: Type.Object({ call: Type.String() }, { additionalProperties: true }),
    done: Type.Boolean(),
    status: Type.Optional(Type.Integer({ description: 'of its answer' })),
  },
  { title: 'OperationLine' },
);

/** A field in which a step of a replay differed from its expectation. */
export const DifferenceView = Type.Object(
  {
    step: Type.Integer(),
    call: Type.String(),
    field: Type.String(),
    expected: Type.Optional(Type.Unknown()),
    actual: Type.Optional(Type.Unknown()),
  },
  { title: 'Difference' },
);
export type DifferenceView = Static<typeof DifferenceView>;

/** What a replay found. */
export const ReplayView = Type.Object(
  {
    id: Type.String(),
    kernel: Type.String(),
    steps: Type.Integer({ description: 'how many were run' }),
    differences: Type.Array(DifferenceView),
  },
  { title: 'Replay' },
);
export type ReplayView = Static<typeof ReplayView>;

/** What a comparison found: the steps that are not answered alike, with the reasons. */
export const ComparisonView = Type.Object(
  {
    id: Type.String(),
    kernels: Type.Array(Type.String()),
    unrecorded: Type.Array(Type.String(), { description: 'those of them that nobody recorded' }),
    steps: Type.Array(
      Type.Object({
        step: Type.Integer(),
        call: Type.Object({ call: Type.String() }, { additionalProperties: true }),
        answers: Type.Record(Type.String(), Expect, {
          description: 'by kernel version; absent where the scenario had ended before',
        }),
        reasons: Type.Array(
          Type.Object({ from: Type.String(), to: Type.String(), id: Type.String(), text: Type.String() }),
        ),
      }),
    ),
  },
  { title: 'Comparison' },
);
export type ComparisonView = Static<typeof ComparisonView>;

/** What `GET /v1/calls` says of each call. */
const CallView = Type.Object(
  {
    call: Type.String(),
    about: Type.String({ description: 'what it does' }),
    on: Type.String({ description: 'what it is made on: host, process, container, device or fault' }),
    by: Type.String({ description: 'client, or driver: what is under way may be waiting for it' }),
    reads: Type.Boolean({ description: 'it changes nothing that a client can see' }),
    of: Type.Optional(
      Type.Array(Type.String(), { description: 'the calls it is made of and written down as' }),
    ),
    method: Type.String(),
    path: Type.String(),
    status: Type.Integer({ description: 'on success' }),
    args: Type.Array(
      Type.Object({ name: Type.String(), required: Type.Boolean(), rule: Type.Optional(Type.String()) }),
    ),
  },
  { title: 'CallDescription' },
);
export const CallList = Type.Object({ calls: Type.Array(CallView) });
