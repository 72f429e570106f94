import { Type } from '@sinclair/typebox';
import { CALL_NAMES } from './calls.ts';
import { AwaitTimeout } from './scenario.ts';
import { closedObject } from './values.ts';

const AsyncName = Type.String({
  maxLength: 64,
  description: 'a name of at most 64 characters, by which the call is awaited later',
});
const AwaitedName = Type.String({
  maxLength: 64,
  description: 'the name of what is awaited, at most 64 characters',
});

/** What a line has besides its call where that is not waited for. */
export const StartedLine = closedObject({ async: AsyncName });

/** A line that is an await. What only a replay looks at, the step of a trace may have. */
export const AwaitLine = closedObject({
  call: Type.Literal('await'),
  of: AwaitedName,
  timeoutMs: Type.Optional(AwaitTimeout),
  expect: Type.Optional(Type.Unknown()),
});

/** One line of a batch: a call with its arguments, or `await` of one that an earlier line started. */
export const BatchCall = Type.Object(
  {
    call: Type.Union(
      [...CALL_NAMES, 'await'].map((name) => Type.Literal(name)),
      { description: 'the name of a call, or await' },
    ),
    async: Type.Optional(AsyncName),
    of: Type.Optional(AwaitedName),
    timeoutMs: Type.Optional(AwaitTimeout),
  },
  { additionalProperties: true, title: 'BatchCall', description: 'a call with its arguments' },
);

/** One line of a batch's answer. */
export const BatchAnswer = Type.Object(
  {
    status: Type.Integer({ description: 'the HTTP status the call would have been answered with' }),
    body: Type.Object({}, { additionalProperties: true, description: 'its answer, or a problem' }),
    ended: Type.Optional(
      Type.Literal(true, {
        description: 'in the last line of a batch that the service ends: it is no call’s answer',
      }),
    ),
  },
  { title: 'BatchAnswer' },
);
