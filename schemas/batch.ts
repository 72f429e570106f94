import { Type } from '@sinclair/typebox';
import { CALL_NAMES } from './calls.ts';

/** One line of a batch: a call with its arguments, or `await` of one that an earlier line started. */
export const BatchCall = Type.Object(
  {
    call: Type.Union(
      [...CALL_NAMES, 'await'].map((name) => Type.Literal(name)),
      { description: 'the name of a call, or await' },
    ),
    async: Type.Optional(
      Type.String({ maxLength: 64, description: 'a name by which the call is awaited later' }),
    ),
    of: Type.Optional(Type.String({ maxLength: 64, description: 'with await: the name of what is awaited' })),
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
