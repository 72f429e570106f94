import { type Static, Type } from '@sinclair/typebox';
import {
  AnyDriver,
  GvtGDriver,
  MbochsDriver,
  MdpyDriver,
  MttyDriver,
  VfioApDriver,
  VfioCcwDriver,
} from './driver-models.ts';

/** How a synthetic driver answers an invalidation. */
export const SyntheticAnswer = Type.Union(
  [
    Type.Literal('ignore'),
    Type.Literal('unpin-range'),
    Type.Literal('unpin-one'),
    Type.Literal('unpin-first-page'),
    Type.Literal('reset-if-start-pinned'),
    Type.Literal('reset-if-overlap'),
    Type.Literal('unpin-all-pages'),
    Type.Literal('no-callback'),
  ],
  {
    description:
      '"ignore", "unpin-range", "unpin-one", "unpin-first-page", "reset-if-start-pinned", "reset-if-overlap", "unpin-all-pages" or "no-callback"',
  },
);

/** A test driver that pins only when told to. */
export const SyntheticDriver = Type.Object(
  {
    type: Type.Literal('synthetic'),
    onDmaUnmap: SyntheticAnswer,
    ignoreFirst: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1, description: 'an integer from 0 to 2^31-1' }),
    ),
    unpinOnClose: Type.Optional(Type.Boolean()),
    holdCallbacks: Type.Optional(Type.Boolean()),
    ...AnyDriver,
  },
  { additionalProperties: false },
);

/** A driver that lives outside and is called over HTTP. */
export const WebhookDriver = Type.Object(
  {
    type: Type.Literal('webhook'),
    url: Type.String({ pattern: '^https?://', maxLength: 2048, description: 'an http or https URL' }),
    timeoutMs: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 60_000, description: 'milliseconds from 1 to 60000' }),
    ),
    secret: Type.Optional(
      Type.String({ minLength: 1, maxLength: 256, description: 'a string of 1 to 256 characters' }),
    ),
    openDevice: Type.Optional(Type.Boolean()),
    closeDevice: Type.Optional(Type.Boolean()),
    ...AnyDriver,
  },
  { additionalProperties: false },
);

/** A driver that lives outside and is not called: each of its callbacks waits for complete-callback. */
export const ManualDriver = Type.Object(
  {
    type: Type.Literal('manual'),
    openDevice: Type.Optional(Type.Boolean()),
    closeDevice: Type.Optional(Type.Boolean()),
    ...AnyDriver,
  },
  { additionalProperties: false },
);

/** What a driver outside may say when its callback returns, besides nothing. */
export const CallbackReturnFields = {
  notify: Type.Optional(
    Type.Union([Type.Literal('NOTIFY_OK'), Type.Literal('NOTIFY_BAD'), Type.Literal('NOTIFY_STOP')], {
      description: '"NOTIFY_OK", "NOTIFY_BAD" or "NOTIFY_STOP"',
    }),
  ),
  errno: Type.Optional(
    Type.String({ pattern: '^E[A-Z0-9]{2,15}$', description: 'the name of an errno, for open-device' }),
  ),
};

/** The driver of an mdev. */
export const Driver = Type.Union(
  [
    SyntheticDriver,
    WebhookDriver,
    ManualDriver,
    VfioApDriver,
    VfioCcwDriver,
    GvtGDriver,
    MttyDriver,
    MdpyDriver,
    MbochsDriver,
  ],
  {
    description:
      'a driver with "type" "synthetic", "webhook", "manual", "vfio-ap", "vfio-ccw", "gvt-g", "mtty", "mdpy" or "mbochs"',
  },
);
export type Driver = Static<typeof Driver>;
