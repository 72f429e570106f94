import { type Static, Type } from '@sinclair/typebox';
import { KERNEL_EFFECTS } from './answers.ts';
import { DRIVER_EFFECTS, DRIVER_EXPECTED, DRIVER_OBSERVED } from './drivers/index.ts';
import { closedObject, optional } from './values.ts';

/** An object of any fields; what it has of T is looked at. */
const Loose = <T extends object>() => Type.Unsafe<T>(Type.Object({}, { additionalProperties: true }));

/** Steps of one scenario in a request. */
export const STEPS_MAX = 100_000;

/** What a step may expect: a misspelt field would expect nothing. */
export const Expect = Type.Object(
  {
    errno: Type.Optional(
      Type.Union([Type.String(), Type.Null()], { description: 'an errno by name, or null' }),
    ),
    killed: Type.Optional(Type.Boolean()),
    hangs: Type.Optional(Type.Boolean()),
    pending: Type.Optional(Type.Boolean()),
    size: Type.Optional(Type.String()),
    pinned: Type.Optional(Type.Integer()),
    unpinned: Type.Optional(Type.Integer()),
    value: Type.Optional(Type.Integer()),
    dirtyPages: Type.Optional(Type.Array(Type.Integer())),
    info: Type.Optional(Loose<Record<string, unknown>>()),
    fnv1a64: Type.Optional(Type.String()),
    invalidations: Type.Optional(Type.Array(Loose<{ device: string; iova: string; length: string }>())),
    log: Type.Optional(Type.Array(Loose<Record<string, unknown>>())),
    lockedPages: Type.Optional(Type.Integer()),
    /** locked_vm of every living process, pages. */
    lockedPagesOf: Type.Optional(Type.Record(Type.String(), Type.Integer())),
    ...optional(KERNEL_EFFECTS),
    /** Whether TAINT_USER is set; in a recording it may come from a scenario before. */
    user: Type.Optional(Type.Boolean()),
    /** What driver models did, and answered. */
    ...optional(DRIVER_EFFECTS),
    ...optional(DRIVER_EXPECTED),
    ...optional(DRIVER_OBSERVED),
    /** How long it took; of a recording only to read. */
    milliseconds: Type.Optional(Type.Number()),
    /** States of their devices after the step, by id. */
    devices: Type.Optional(Type.Record(Type.String(), Loose<Record<string, unknown>>())),
    /** What a recorded kernel printed; to read, not compared. */
    kernelLog: Type.Optional(Type.Array(Type.String())),
  },
  { additionalProperties: false, title: 'Expectation' },
);

/** Of `await`: how long is waited, in the host's own time. */
export const AwaitTimeout = Type.Integer({
  minimum: 0,
  maximum: 3_600_000,
  description:
    'how long is waited at most, milliseconds of the host’s own time: an integer from 0 to 3600000',
});

/** A step: a call, or `await`, with what it was answered. The call itself is checked when it is made. */
const StepSchema = Type.Object(
  {
    call: Type.String({ maxLength: 64 }),
    async: Type.Optional(Type.String({ maxLength: 64 })),
    of: Type.Optional(Type.String({ maxLength: 64 })),
    timeoutMs: Type.Optional(AwaitTimeout),
    expect: Type.Optional(Expect),
  },
  { additionalProperties: true, title: 'Step' },
);

/** A trace in the form of the recordings. */
export const ScenarioSchema = Type.Object(
  {
    id: Type.Optional(Type.String({ maxLength: 200 })),
    kernel: Type.Optional(Type.String({ maxLength: 16 })),
    /** What a recorded kernel printed and did when the process ended, and pins that were left then; to read. */
    logAfterExit: Type.Optional(Type.Array(Type.String())),
    atExit: Type.Optional(Loose<Record<string, unknown>>()),
    leaked: Type.Optional(Type.Array(Type.Any())),
    steps: Type.Array(StepSchema, {
      maxItems: STEPS_MAX,
      description: `an array of at most ${STEPS_MAX} steps`,
    }),
  },
  { additionalProperties: false, title: 'Scenario' },
);
export type ScenarioSchema = Static<typeof ScenarioSchema>;

/** What is taken for a trace: one, or one inside an object, as a comparison is asked for. */
export const TraceSchema = Type.Union([ScenarioSchema, closedObject({ scenario: ScenarioSchema })], {
  description: 'a trace, or {"scenario": a trace}',
});
export type TraceSchema = Static<typeof TraceSchema>;
