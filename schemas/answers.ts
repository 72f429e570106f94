import { Type } from '@sinclair/typebox';
import { Hex } from './values.ts';

/** A number of things. */
export const Count = Type.Integer();

/** What an answer adds whose request waited in vain. */
export const WaitedInVain = {
  timedOut: Type.Optional(Type.Literal(true, { description: 'what was waited for has not come in time' })),
  timeoutMs: Type.Optional(Type.Integer({ description: 'with timedOut: how long was waited, milliseconds' })),
};

/** What the kernel printed because of a call. */
export const LogEntry = Type.Object(
  {
    kind: Type.String({
      description: 'WARN_ON, WARN_ON_ONCE, BUG_ON, PR_ERR, PR_WARN, PR_NOTICE, PR_INFO or DEADLOCK',
    }),
    function: Type.Optional(Type.String()),
    condition: Type.Optional(Type.String()),
    file: Type.Optional(Type.String()),
    line: Type.Optional(Type.Integer()),
    text: Type.Optional(
      Type.String({
        description: 'with PR_ERR, PR_WARN, PR_NOTICE and PR_INFO, in place of the four before',
      }),
    ),
    tasks: Type.Optional(
      Type.Array(
        Type.Object({
          call: Type.String(),
          device: Type.Optional(Type.String()),
          holds: Type.Array(Type.String(), { description: 'locks' }),
          waitsFor: Type.String({ description: 'a lock, or the callback of a device' }),
        }),
        { description: 'with DEADLOCK: the calls of the cycle' },
      ),
    ),
  },
  { title: 'LogEntry' },
);

/** A WARN or a BUG with what it was about. */
export const SplatReport = Type.Object(
  {
    ...LogEntry.properties,
    container: Type.Optional(Type.String()),
    device: Type.Optional(Type.String()),
    iova: Type.Optional(Hex),
    size: Type.Optional(Hex),
    attempt: Type.Optional(Count),
    pinCount: Type.Optional(Type.Integer({ description: 'how many pins were left' })),
    pins: Type.Optional(
      Type.Array(
        Type.Object({
          iova: Hex,
          pfn: Hex,
          refCount: Count,
          devices: Type.Array(Type.Object({ device: Type.String(), count: Count })),
        }),
        { description: 'the first pins that were left, with their holders' },
      ),
    ),
  },
  { title: 'SplatReport' },
);

/** One delivery of dma_unmap. */
export const InvalidationEntry = Type.Object(
  { device: Type.String(), iova: Hex, length: Hex },
  { title: 'Invalidation' },
);

/** What drivers were called for, as answers and expectations have it. */
export const KERNEL_EFFECTS = {
  closedDevices: Type.Array(Type.String(), {
    description: 'mdevs whose driver’s close was called, in order',
  }),
  requests: Type.Array(Type.String(), {
    description: 'mdevs whose driver was asked to release the device (`request`), in order',
  }),
};

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
    at: Type.Optional(Type.String({ description: 'of a setup: the place in it that was refused' })),
    killed: Type.Optional(Type.Boolean({ description: "the caller's task is dead" })),
    splat: Type.Optional(SplatReport),
    log: Type.Optional(Type.Array(LogEntry)),
    splats: Type.Optional(Type.Array(SplatReport)),
    invalidations: Type.Optional(Type.Array(InvalidationEntry)),
    advisories: Type.Optional(Type.Array(AdvisoryEntry)),
  },
  { title: 'Problem', additionalProperties: true },
);

/** 202: the call is under way. */
export const Accepted = Type.Object(
  {
    operation: Type.String({ description: 'its id, to ask with GET /v1/operations/{operation}' }),
    invalidations: Type.Array(InvalidationEntry, { description: 'callbacks delivered so far' }),
    log: Type.Optional(Type.Array(LogEntry)),
    requests: Type.Optional(KERNEL_EFFECTS.requests),
    closedDevices: Type.Optional(KERNEL_EFFECTS.closedDevices),
  },
  { title: 'Accepted' },
);
