import { type TProperties, type TSchema, Type } from '@sinclair/typebox';
import type { CallName } from './calls.ts';
import { DRIVER_CALL_ANSWERS } from './drivers/index.ts';

/** An address or size as answers write it. */
const Hex = Type.String({ pattern: '^0x(0|[1-9a-f][0-9a-f]{0,15})$' });
const Count = Type.Integer();

/** What the kernel printed because of a call. */
export const LogEntry = Type.Object(
  {
    kind: Type.String({ description: 'WARN_ON, WARN_ON_ONCE, BUG_ON, PR_WARN or DEADLOCK' }),
    function: Type.Optional(Type.String()),
    condition: Type.Optional(Type.String()),
    file: Type.Optional(Type.String()),
    line: Type.Optional(Type.Integer()),
    text: Type.Optional(Type.String({ description: 'with PR_WARN, in place of the four before' })),
  },
  { title: 'LogEntry' },
);

/** One delivery of dma_unmap. */
export const InvalidationEntry = Type.Object(
  { device: Type.String(), iova: Hex, length: Hex },
  { title: 'Invalidation' },
);

/** What the kernel does not notice but a driver author must know. */
export const AdvisoryEntry = Type.Object(
  {
    kind: Type.String(),
    devices: Type.Array(Type.String(), { description: 'who did it, and whom it hit' }),
    iova: Hex,
    call: Type.String(),
    count: Count,
    text: Type.String(),
  },
  { title: 'Advisory' },
);

/** RFC 9457 problem, with what a kernel's answer adds. */
export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    instance: Type.Optional(Type.String({ description: 'id of the request' })),
    errno: Type.Optional(Type.String()),
    errnoNumber: Type.Optional(Type.Integer()),
    call: Type.Optional(Type.String()),
    killed: Type.Optional(Type.Boolean({ description: "the caller's task is dead" })),
    splat: Type.Optional(LogEntry),
    log: Type.Optional(Type.Array(LogEntry)),
    invalidations: Type.Optional(Type.Array(InvalidationEntry)),
    advisories: Type.Optional(Type.Array(AdvisoryEntry)),
  },
  { title: 'Problem' },
);

const answer = <T extends TProperties>(properties: T) =>
  Type.Object({
    ...properties,
    invalidations: Type.Optional(Type.Array(InvalidationEntry)),
    log: Type.Optional(Type.Array(LogEntry)),
    advisories: Type.Optional(Type.Array(AdvisoryEntry)),
  });

const Bitmap = {
  dirtyPages: Type.Optional(
    Type.Array(Count, { description: 'page indexes from iova; left out above 4096' }),
  ),
  bitmap: Type.Optional(Type.String({ description: 'base64 of little-endian 64-bit words' })),
};

const DeviceFields = {
  device: Type.String(),
  group: Type.String(),
  kind: Type.String(),
  openCount: Count,
  groupOpen: Type.Boolean(),
  container: Type.Union([Type.String(), Type.Null()]),
  driver: Type.Optional(Type.Object({}, { additionalProperties: true })),
  state: Type.Optional(Type.Object({}, { additionalProperties: true, description: 'of the driver' })),
};

/** The answer of each call on success; a call that is not here answers an empty object. */
export const CALL_ANSWERS = {
  'create-process': answer({ process: Type.String() }),
  'read-memory': answer({ data: Type.String() }),
  'open-container': answer({ container: Type.String(), process: Type.String() }),
  'check-extension': answer({ value: Count }),
  'iommu-info': answer({
    pageSizes: Hex,
    dmaAvail: Count,
    dirtyPageSizes: Hex,
    maxDirtyBitmapSize: Hex,
    iovaRanges: Type.Optional(Type.Array(Type.Array(Hex, { minItems: 2, maxItems: 2 }))),
  }),
  'map-dma': answer({ iova: Hex, size: Hex }),
  'unmap-dma': answer({ size: Hex, ...Bitmap }),
  'dirty-get': answer(Bitmap),
  'create-device': answer(DeviceFields),
  'add-fault': answer({ fault: Type.String() }),
  'group-status': answer({ value: Count }),
  'unpin-pages': answer({
    unpinned: Type.Optional(Type.Integer({ description: 'on 5.10: the pages walked' })),
  }),
  'pin-pages': answer({ pinned: Count, pages: Type.Array(Type.Object({ iova: Hex, pfn: Hex })) }),
  'dma-rw': answer({ data: Type.Optional(Type.String()) }),
  ...driverAnswers(),
} satisfies Partial<Record<CallName, TSchema>>;

function driverAnswers() {
  const answers = Object.entries(DRIVER_CALL_ANSWERS).map(([call, properties]) => [call, answer(properties)]);
  type Fields = typeof DRIVER_CALL_ANSWERS;
  return Object.fromEntries(answers) as { [N in keyof Fields]: ReturnType<typeof answer<Fields[N]>> };
}

/** The schema of a call's answer on success. */
export function answerOf(call: CallName): TSchema {
  return (CALL_ANSWERS as Partial<Record<CallName, TSchema>>)[call] ?? EmptyAnswer;
}

/** The answer of a call that has nothing to say. */
export const EmptyAnswer = answer({});

/** 202: the call is under way. */
export const Accepted = Type.Object({
  operation: Type.String(),
  invalidations: Type.Array(InvalidationEntry),
});
