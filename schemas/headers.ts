import { Type } from '@sinclair/typebox';
import { RigName } from './values.ts';

/** A header of which only the words that are known count. */
const words = (maxLength: number) =>
  Type.String({ maxLength, description: `a text of at most ${maxLength} characters` });

/** The headers of requests that are read, each with its rule. No other one is. */
export const HEADERS = {
  'x-rig': RigName,
  'x-request-id': Type.String({
    pattern: '^[\\x21-\\x7e]{1,128}$',
    description: '1 to 128 visible ASCII characters',
  }),
  'last-event-id': Type.String({
    pattern: '^[0-9]{1,15}$',
    description: 'the seq of an event: 1 to 15 digits',
  }),
  host: Type.String({
    pattern: '^[^\\s/?#@]{0,261}$',
    description: 'the name or the address of a host, and its port',
  }),
  origin: words(2048),
  'sec-fetch-site': Type.String({
    pattern: '^[a-z-]{0,32}$',
    description: '"cross-site", "same-site", "same-origin" or "none"',
  }),
  authorization: words(1024),
  accept: words(4096),
  prefer: words(4096),
  'if-none-match': words(4096),
  'content-type': words(256),
  'content-encoding': words(256),
  expect: words(256),
  'content-length': Type.String({
    pattern: '^[0-9]{1,15}$',
    description: 'a number of bytes: 1 to 15 digits',
  }),
  'transfer-encoding': words(256),
} as const;

export type HeaderName = keyof typeof HEADERS;
