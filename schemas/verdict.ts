import { type Static, Type } from '@sinclair/typebox';
import { oneOf } from './values.ts';

/** What a verdict looks at, in the order in which it says so. */
export const CHECKS = [
  'panic',
  'splats',
  'advisories',
  'leaked-pins',
  'pins',
  'mappings',
  'wedged',
  'calls',
  'webhooks',
  'missing',
] as const;

/** One thing that a verdict has found. */
export const FindingView = Type.Object(
  {
    check: oneOf(...CHECKS),
    kind: Type.String({
      description: 'what `expect` names it by: the kind of a splat or an advisory, else the check',
    }),
    count: Type.Integer(),
    expected: Type.Boolean({
      description: 'whether `expect` names it, or it follows from what `expect` names',
    }),
    text: Type.String(),
  },
  { title: 'Finding' },
);
export type FindingView = Static<typeof FindingView>;

const Counts = (description: string) => Type.Record(Type.String(), Type.Integer(), { description });

/** What one rig has come to since it was made, reset, restored or set up. */
export const VerdictView = Type.Object(
  {
    ok: Type.Boolean({
      description: 'nothing was found that is not expected, and nothing expected is missing',
    }),
    rig: Type.String(),
    kernel: Type.String(),
    panic: Type.Optional(Type.String({ description: 'the line of the panic that the rig is dead of' })),
    splats: Counts('WARN_ON, WARN_ON_ONCE, BUG_ON and DEADLOCK, by kind'),
    printed: Counts('lines without a trace (PR_ERR, PR_WARN, …), by kind; they count against nothing'),
    advisories: Counts('by kind'),
    leakedPins: Type.Integer({ description: 'references to pages whose device is closed or gone' }),
    pins: Type.Integer({ description: 'pins that are there, leaked ones included' }),
    mappings: Type.Integer(),
    wedged: Type.Array(Type.String(), { description: 'containers with a lock that is held for ever' }),
    calls: Type.Array(Type.String(), { description: 'calls under way, and what each waits for' }),
    webhooks: Type.Object({
      delivered: Type.Integer(),
      undelivered: Type.Integer({ description: 'counted as "the callback returned and did nothing"' }),
    }),
    expected: Type.Array(Type.String(), { description: 'what `expect` names' }),
    missing: Type.Array(Type.String(), {
      description: 'splats and advisories of `expect` that did not come',
    }),
    findings: Type.Array(FindingView),
  },
  { title: 'Verdict' },
);
export type VerdictView = Static<typeof VerdictView>;

/** What all rigs have come to. */
export const VerdictsView = Type.Object(
  { ok: Type.Boolean(), missing: Type.Array(Type.String()), rigs: Type.Array(VerdictView) },
  { title: 'Verdicts' },
);
export type VerdictsView = Static<typeof VerdictsView>;
