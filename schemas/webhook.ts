import { type Static, Type } from '@sinclair/typebox';
import { Count } from './answers.ts';
import { CallbackReturnFields } from './drivers/external.ts';
import { Address64, Hex, Int32, oneOf } from './values.ts';

/** What a driver outside is called with. */
export const WebhookRequest = Type.Object(
  {
    rig: Type.Optional(
      Type.String({
        description: 'whose device it is: calls made meanwhile name it in X-Rig; not in a search',
      }),
    ),
    call: oneOf('dma-unmap', 'open-device', 'close-device'),
    container: Type.Optional(Type.String()),
    device: Type.String(),
    iova: Type.Optional(Hex),
    length: Type.Optional(Hex),
    attempt: Type.Optional(
      Type.Integer({ description: 'with dma-unmap: visit of this mapping, from 1; type1 gives up after 11' }),
    ),
    round: Type.Optional(
      Type.Integer({ description: 'with dma-unmap: invalidation round within this unmap, from 1' }),
    ),
    seq: Type.Integer({ description: 'of the journal entry that is delivered' }),
    deadlineMs: Count,
  },
  { title: 'WebhookRequest', additionalProperties: true },
);

/** What a driver outside may answer a callback. Nothing at all is fine. */
export const WebhookAnswer = Type.Object(
  {
    unpin: Type.Optional(
      Type.Array(Type.Object({ iova: Address64, npage: Int32 }, { additionalProperties: false }), {
        description: 'pages to unpin on the driver’s behalf before the callback returns',
      }),
    ),
    ...CallbackReturnFields,
  },
  {
    additionalProperties: false,
    description: 'an object with unpin, notify or errno',
    title: 'WebhookAnswer',
  },
);
export type WebhookAnswer = Static<typeof WebhookAnswer>;
