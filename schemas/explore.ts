import { type Static, Type } from '@sinclair/typebox';
import { Driver } from './drivers/index.ts';
import { ScenarioSchema } from './scenario.ts';
import { closedObject, oneOf } from './values.ts';

const whole = (maximum: number, what: string) =>
  Type.Optional(Type.Integer({ minimum: 1, maximum, description: `${what} from 1 to ${maximum}` }));

/** What is looked for. */
const Goal = Type.Optional(
  Type.String({
    maxLength: 128,
    pattern: '^(any|(BUG_ON|WARN_ON|PRINTED|DEADLOCK|ADVISORY)(:[A-Za-z0-9_.+-]+)*)$',
    description: 'BUG_ON, WARN_ON:<id>, DEADLOCK, ADVISORY:<kind> or any',
  }),
);

/** Kinds of calls that are tried only where they are asked for: each makes a search wider. */
export const ALSO_NAMES = [
  'dirty',
  'memlock',
  'vaddr',
  'pci',
  'processes',
  'removal',
  'faults',
  'responses',
  'hold',
] as const;
export type AlsoName = (typeof ALSO_NAMES)[number];

/** A search with small bounds. */
export const ExploreBody = closedObject({
  kernel: Type.Optional(Type.String({ maxLength: 32 })),
  drivers: Type.Array(Driver, { minItems: 1, maxItems: 4, description: 'an array of 1 to 4 drivers' }),
  /** Without it the shortest trace to every finding is looked for. */
  goal: Goal,
  depth: whole(12, 'calls'),
  pages: whole(4, 'pages'),
  mappings: whole(8, 'mappings'),
  also: Type.Optional(
    Type.Array(oneOf(...ALSO_NAMES), {
      maxItems: ALSO_NAMES.length,
      uniqueItems: true,
      description: `an array of some of ${ALSO_NAMES.join(', ')}`,
    }),
  ),
  seconds: whole(60, 'seconds'),
});
export type ExploreBody = Static<typeof ExploreBody>;

/** What a search has come to. */
export const ExploreView = Type.Object({
  ended: Type.String({
    description:
      'goal; depth: every trace of that length was tried; exhausted: there is nothing more; time, memory or stopped: cut short',
  }),
  found: Type.Array(
    Type.Object({
      finding: Type.String(),
      calls: Type.Integer({ description: 'those that set the scene not counted' }),
      scenario: ScenarioSchema,
    }),
    { description: 'a shortest trace to each finding' },
  ),
  depth: Type.Integer({ description: 'every trace of so many calls was tried' }),
  states: Type.Integer(),
  transitions: Type.Integer({ description: 'calls tried, those that changed nothing included' }),
  seconds: Type.Number(),
});
export type ExploreView = Static<typeof ExploreView>;

/** A trace that is to be shrunk. */
export const MinimizeBody = closedObject({
  scenario: ScenarioSchema,
  /** Without it the worst that the trace comes to. */
  goal: Goal,
  seconds: whole(60, 'seconds'),
});
export type MinimizeBody = Static<typeof MinimizeBody>;

/** A trace shrunk. */
export const MinimizeView = Type.Object({
  finding: Type.String({ description: 'what it still comes to' }),
  before: Type.Integer({ description: 'steps' }),
  after: Type.Integer({ description: 'steps' }),
  tried: Type.Integer({ description: 'traces that were tried' }),
  whole: Type.Boolean({ description: 'false: it was cut short, and the trace is as short as it got' }),
  scenario: ScenarioSchema,
});
