import { type Static, Type } from '@sinclair/typebox';
import { oneOf } from '../values.ts';
import { config, type DriverSchemas } from './model.ts';

/** Whether it is also called when the device is first opened and last closed. */
const OPEN_CLOSE = {
  openDevice: Type.Optional(Type.Boolean()),
  closeDevice: Type.Optional(Type.Boolean()),
};

/** A driver that lives outside and is called over HTTP. */
export const webhook = {
  config: config('webhook', {
    /** Where callbacks are POSTed. */
    url: Type.String({ pattern: '^https?://', maxLength: 2048, description: 'an http or https URL' }),
    /** How long a callback may take. */
    timeoutMs: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 60_000, description: 'milliseconds from 1 to 60000' }),
    ),
    /** Key of the HMAC over each body. */
    secret: Type.Optional(
      Type.String({ minLength: 1, maxLength: 256, description: 'a string of 1 to 256 characters' }),
    ),
    /** Whether the journal has each body that is sent, and that comes back. */
    journalBodies: Type.Optional(Type.Boolean()),
    ...OPEN_CLOSE,
  }),
  calls: {},
  state: null,
} satisfies DriverSchemas;

/** A driver that lives outside and is not called: each of its callbacks waits for complete-callback. */
export const manual = {
  config: config('manual', OPEN_CLOSE),
  calls: {},
  state: null,
} satisfies DriverSchemas;

export type WebhookConfig = Static<typeof webhook.config>;
export type ManualConfig = Static<typeof manual.config>;

/** What a driver outside may say when its callback returns, besides nothing. */
export const CallbackReturnFields = {
  notify: Type.Optional(oneOf('NOTIFY_OK', 'NOTIFY_BAD', 'NOTIFY_STOP')),
  errno: Type.Optional(
    Type.String({ pattern: '^E[A-Z0-9]{2,15}$', description: 'the name of an errno, for open-device' }),
  ),
};
