import { RigName } from '../../../schemas/values.ts';
import { DEFAULT_RIG } from '../../rig/rigs.ts';
import type { Json } from './json.ts';

/** Paths below /v1 that are for no rig in particular. */
const FOR_NO_RIG = /^\/v1\/(rigs|compare|calls)(\/|$)/;

const X_RIG = {
  name: 'X-Rig',
  in: 'header',
  description:
    'the rig the request is for; a POST or PUT makes it where there is none yet, a GET or DELETE is answered 404; without it the one named default',
  schema: { type: 'string', pattern: RigName.pattern, default: DEFAULT_RIG },
};

const PREFER = {
  name: 'Prefer',
  in: 'header',
  description:
    'respond-async (RFC 7240): where the call has to wait it is answered 202 at once, and GET /v1/operations/{operation} has its answer',
  schema: { type: 'string', enum: ['respond-async'] },
};

/** The headers that many operations take, of those that this one does. */
export function sharedParameters(path: string, operation: Json): Json[] {
  const hasRig = /^\/v1(\/|$)/.test(path) && !FOR_NO_RIG.test(path);
  const mayWait = '202' in (operation.responses as Json);
  return [...(hasRig ? [X_RIG] : []), ...(mayWait ? [PREFER] : [])];
}
