import { WebhookAnswer, WebhookRequest } from '../../../schemas/webhook.ts';
import type { Json } from './json.ts';
import type { SharedSchemas } from './schemas.ts';

/** What the service asks of others: the callbacks of drivers of type webhook. */
export function webhooks(schemas: SharedSchemas): Json {
  return {
    callback: {
      post: {
        operationId: 'callback',
        tags: ['device'],
        summary: 'a callback of a driver of type webhook',
        description:
          'Sent to the driver’s `url` when user space unmaps what it has pinned, and, where the driver asks for it, when the device is opened and closed. The call that caused it waits meanwhile; the driver may pin and unpin over HTTP. No answer within `deadlineMs`, another status than 2xx, or a body that is not a WebhookAnswer: the callback returned and did nothing.',
        security: [{}],
        parameters: [
          {
            name: 'x-vfio-host-signature',
            in: 'header',
            description: 'with a `secret`: sha256= and the HMAC-SHA256 of the body with it, in hex',
            schema: { type: 'string', pattern: '^sha256=[0-9a-f]{64}$' },
          },
        ],
        requestBody: {
          required: true,
          content: {
            'application/json': {
              schema: schemas.write(WebhookRequest as unknown as Json),
              example: {
                rig: 'my-test',
                call: 'dma-unmap',
                container: 'c0',
                device: 'd0',
                iova: '0x10000',
                length: '0x10000',
                attempt: 1,
                round: 1,
                seq: 17,
                deadlineMs: 5000,
              },
            },
          },
        },
        responses: {
          200: {
            description: 'the callback returns, after the unpins that the answer asks for',
            content: {
              'application/json': {
                schema: schemas.write(WebhookAnswer as unknown as Json),
                example: { unpin: [{ iova: '0x15000', npage: 1 }] },
              },
            },
          },
          204: { description: 'the callback returns' },
          '4XX': { description: 'it counts as: the callback returned and did nothing' },
        },
      },
    },
  };
}
