import { type Static, Type } from '@sinclair/typebox';
import { Count, Hex64, object, Positive31 } from '../saved.ts';
import { oneOf } from '../values.ts';
import { config, type DriverSchemas } from './model.ts';

/** How a synthetic driver answers an invalidation. */
const SyntheticAnswer = oneOf(
  'ignore',
  'unpin-range',
  'unpin-one',
  'unpin-first-page',
  'reset-if-start-pinned',
  'reset-if-overlap',
  'unpin-all-pages',
  'no-callback',
);

/** A test driver that pins only when told to. */
export const synthetic = {
  config: config('synthetic', {
    onDmaUnmap: SyntheticAnswer,
    /** With unpin-range: ignores its first n callbacks. */
    ignoreFirst: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, description: 'an integer from 0 to 2^31-1' }),
    ),
    /** Unpins all it holds at close; otherwise the pins leak. */
    unpinOnClose: Type.Optional(Type.Boolean()),
    /** The next callback stops before it does anything, until resume-callbacks. */
    holdCallbacks: Type.Optional(Type.Boolean()),
  }),
  calls: {},
  state: object({
    callbacks: Count,
    holding: Type.Boolean(),
    held: Type.Boolean(),
    /** The list of its own pins, lowest first. */
    pins: Type.Array(object({ iova: Hex64, times: Positive31 })),
  }),
} satisfies DriverSchemas;

export type SyntheticConfig = Static<typeof synthetic.config>;
export type SyntheticState = Static<typeof synthetic.state>;
