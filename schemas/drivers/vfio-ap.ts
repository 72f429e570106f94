import { type Static, Type } from '@sinclair/typebox';
import { Hex64, injected, integer, nullable, object } from '../saved.ts';
import { Address64, Byte } from '../values.ts';
import { args, config, type DriverSchemas } from './model.ts';

/** Number of an AP queue: adapter times 256 plus domain. */
const Apqn = Type.Integer({ minimum: 0, maximum: 65535, description: 'an APQN from 0 to 65535' });

/** An AP response code. */
const ApResponse = Type.Integer({ minimum: 0, maximum: 255, description: 'a response code from 0 to 255' });

/** What the guest sees. */
const ApStatus = { response: Type.Integer({ description: 'response code of the AP status word' }) };

const INSTRUCTIONS = ['tapq', 'aqic-enable', 'aqic-disable', 'zapq', 'gisc-register'] as const;

const ApInstruction = Type.Union(
  [
    Type.Literal('tapq'),
    Type.Literal('aqic-enable'),
    Type.Literal('aqic-disable'),
    Type.Literal('zapq'),
    Type.Literal('gisc-register'),
  ],
  { description: '"tapq", "aqic-enable", "aqic-disable", "zapq" or "gisc-register"' },
);

const savedAnswers = Type.Array(
  object({ response: Byte, irqEnabled: Type.Boolean(), queueEmpty: Type.Boolean() }),
  { minItems: 1, maxItems: 1024, description: 'an array of 1 to 1024 answers' },
);

/**
 * vfio_ap: `notifier` up to 5.19, `callback` in 6.0 and 6.1, `range` from 6.2 on. Without a variant it is that of
 * the host's kernel; so with the other models.
 */
export const vfioAp = {
  config: config('vfio-ap', {
    variant: Type.Optional(
      Type.Union([Type.Literal('notifier'), Type.Literal('callback'), Type.Literal('range')], {
        description: '"notifier", "callback" or "range"',
      }),
    ),
    queues: Type.Optional(
      Type.Array(Apqn, { minItems: 1, maxItems: 256, uniqueItems: true, description: '1 to 256 APQNs' }),
    ),
  }),
  calls: {
    'ap-enable-interrupt': {
      args: args({
        apqn: Apqn,
        nib: Address64,
        isc: Type.Integer({
          minimum: 0,
          maximum: 7,
          description: 'an interruption subclass from 0 to 7',
        }),
      }),
      answer: ApStatus,
    },
    'ap-disable-interrupt': { args: args({ apqn: Apqn }), answer: ApStatus },
    'ap-reset': { args: args({ apqn: Type.Optional(Apqn) }) },
    'ap-inject': {
      args: args({
        apqn: Apqn,
        instruction: ApInstruction,
        responses: Type.Array(
          Type.Union(
            [
              ApResponse,
              Type.Object(
                {
                  response: ApResponse,
                  irqEnabled: Type.Optional(Type.Boolean()),
                  queueEmpty: Type.Optional(Type.Boolean()),
                },
                { additionalProperties: false },
              ),
            ],
            { description: 'a response code from 0 to 255, or {response, irqEnabled, queueEmpty}' },
          ),
          { minItems: 1, maxItems: 256, description: '1 to 256 responses' },
        ),
      }),
    },
  },
  state: object({
    guest: Type.Boolean(),
    /** In the order of its matrix. */
    queues: Type.Array(
      object({
        apqn: integer(0, 65535, '0 to 65535'),
        savedIova: nullable(Hex64, 'an address 0x…, or null'),
        savedIsc: nullable(integer(0, 7, '0 to 7'), 'an integer from 0 to 7, or null'),
        injected: injected(INSTRUCTIONS, savedAnswers),
      }),
    ),
  }),
} satisfies DriverSchemas;

export type VfioApConfig = Static<typeof vfioAp.config>;
export type VfioApState = Static<typeof vfioAp.state>;
/** An AP instruction, or (gisc-register) the registration of an interruption subclass with KVM. */
export type ApInstruction = (typeof INSTRUCTIONS)[number];
