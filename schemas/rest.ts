import { CALL_TARGETS, type CallName, type CallTarget } from './calls.ts';

/** Method, path (with `:target` in place of the id) and success status of a call as a REST request. */
export interface RestRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly url: string;
  readonly status: number;
}

const COLLECTION: Readonly<Record<Exclude<CallTarget, 'host'>, string>> = {
  process: 'processes',
  container: 'containers',
  device: 'devices',
  fault: 'faults',
};

/** Calls whose request is not `POST /v1/<collection>/<id>/<call>`. */
const EXCEPTIONS: Partial<Record<CallName, RestRequest>> = {
  'create-process': { method: 'POST', url: '/v1/processes', status: 201 },
  'open-container': { method: 'POST', url: '/v1/containers', status: 201 },
  'close-container': { method: 'DELETE', url: '/v1/containers/:container', status: 204 },
  'iommu-info': { method: 'GET', url: '/v1/containers/:container/iommu-info', status: 200 },
  'create-device': { method: 'POST', url: '/v1/devices', status: 201 },
  'remove-device': { method: 'DELETE', url: '/v1/devices/:device', status: 204 },
  'add-fault': { method: 'POST', url: '/v1/faults', status: 201 },
  'remove-fault': { method: 'DELETE', url: '/v1/faults/:fault', status: 204 },
  sleep: { method: 'POST', url: '/v1/sleep', status: 200 },
  'set-parameters': { method: 'POST', url: '/v1/set-parameters', status: 200 },
};

/** How a call is made over REST. */
export function restOf(call: CallName): RestRequest {
  const exception = EXCEPTIONS[call];
  if (exception) return exception;
  const target = CALL_TARGETS[call] as Exclude<CallTarget, 'host'>;
  return { method: 'POST', url: `/v1/${COLLECTION[target]}/:${target}/${call}`, status: 200 };
}
