import { type Static, Type } from '@sinclair/typebox';
import { AdvisoryEntry, SplatReport, WaitedInVain } from './answers.ts';
import { Hex, oneOf } from './values.ts';

/** What every entry of the journal may say of its surroundings. */
const Where = { container: Type.Optional(Type.String()), device: Type.Optional(Type.String()) };
const Seq = Type.Integer({ minimum: 1, description: 'the order of entries' });
const Cause = Type.Integer({ description: 'seq of the call that made it happen' });
/** The call that made it happen, by name. */
const Caller = Type.String({ description: 'name of the call that made it happen' });
const Call = Type.Object({ call: Type.String() }, { additionalProperties: true });

/** A call begins. */
const CallEvent = Type.Object(
  {
    seq: Seq,
    kind: Type.Literal('call'),
    ...Where,
    reqId: Type.Optional(Type.String({ description: 'id of the request that made it' })),
    call: Call,
  },
  { title: 'CallEvent' },
);

/** A call is answered. */
const AnswerEvent = Type.Object(
  {
    seq: Seq,
    kind: Type.Literal('answer'),
    cause: Cause,
    call: Caller,
    ...Where,
    how: Type.Union(
      ['returned', 'killed', 'wedged', 'deadlocked', 'crashed'].map((how) => Type.Literal(how)),
      { description: 'crashed: it was given up' },
    ),
    errno: Type.Union([Type.String(), Type.Null()]),
  },
  { title: 'AnswerEvent' },
);

/** A driver was called back. */
const InvalidationEvent = Type.Object(
  {
    seq: Seq,
    kind: Type.Literal('invalidation'),
    cause: Cause,
    call: Caller,
    ...Where,
    device: Type.String(),
    iova: Hex,
    length: Hex,
    attempt: Type.Integer({ description: 'visit of this mapping, from 1' }),
    round: Type.Integer({ description: 'invalidation round within this unmap, from 1' }),
  },
  { title: 'InvalidationEvent' },
);

/** The kernel printed something. */
const SplatEvent = Type.Object(
  {
    seq: Seq,
    kind: Type.Literal('splat'),
    cause: Cause,
    call: Caller,
    ...Where,
    splat: SplatReport,
  },
  { title: 'SplatEvent' },
);

/** A finding the kernel does not make. */
const AdvisoryEvent = Type.Object(
  {
    seq: Seq,
    kind: Type.Literal('advisory'),
    cause: Cause,
    call: Caller,
    ...Where,
    advisory: AdvisoryEntry,
  },
  { title: 'AdvisoryEvent' },
);

/** How one delivery to a webhook ended. */
export const WebhookReport = Type.Object(
  {
    device: Type.String(),
    callback: Type.String(),
    url: Type.String(),
    outcome: oneOf('returned', 'failed'),
    status: Type.Optional(Type.Integer()),
    reason: Type.Optional(
      Type.String({ description: 'why it counts as "the callback returned and did nothing"' }),
    ),
    request: Type.Optional(
      Type.Object({}, { additionalProperties: true, description: 'what was sent, with journalBodies' }),
    ),
    answer: Type.Optional(
      Type.String({ description: 'the body that came back, with journalBodies; its first 4096 characters' }),
    ),
  },
  { title: 'WebhookReport' },
);
export type WebhookReport = Static<typeof WebhookReport>;

/** A webhook was called. */
const WebhookEvent = Type.Object(
  {
    seq: Seq,
    kind: Type.Literal('webhook'),
    cause: Cause,
    call: Caller,
    ...Where,
    webhook: WebhookReport,
  },
  { title: 'WebhookEvent' },
);

/** A fault strikes a call that is about to begin. */
const FaultEvent = Type.Object(
  {
    seq: Seq,
    kind: Type.Literal('fault'),
    ...Where,
    fault: Type.String(),
    errno: Type.Optional(Type.String()),
    delayMs: Type.Optional(Type.Integer()),
    call: Call,
  },
  { title: 'FaultEvent' },
);

/** An entry of the journal: what happened, in the order of `seq`. */
export const JournalEvent = Type.Union(
  [CallEvent, AnswerEvent, InvalidationEvent, SplatEvent, AdvisoryEvent, WebhookEvent, FaultEvent],
  { title: 'JournalEvent' },
);
export type JournalEvent = Static<typeof JournalEvent>;

/** Kinds of journal entries. */
export const EVENT_KINDS = JournalEvent.anyOf.map(({ properties }) => properties.kind.const);
export type EventKind = JournalEvent['kind'];

/** A page of the journal. */
export const EventPage = Type.Object(
  {
    events: Type.Array(JournalEvent),
    truncated: Type.Boolean({ description: 'entries after `since` have been dropped already' }),
    next: Type.Integer({ description: 'seq to ask from next' }),
    ended: Type.Optional(Type.String({ description: 'why there will be no more' })),
    ...WaitedInVain,
  },
  { title: 'EventPage' },
);
export type EventPage = Static<typeof EventPage>;
