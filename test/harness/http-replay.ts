import { KERNEL_EFFECTS } from '../../schemas/answers.ts';
import { type CallName, type CallObject, callEntry, restOf } from '../../schemas/calls.ts';
import { DRIVER_EFFECTS } from '../../schemas/drivers/index.ts';
import type { DifferenceView } from '../../schemas/views.ts';
import { compare } from '../../src/replay/compare.ts';
import { callOf, type Observation, type Scenario, type Step } from '../../src/replay/scenario.ts';

/** One HTTP exchange: status and JSON body (empty when there is none). */
export type Exchange = (
  method: string,
  url: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<{ status: number; body: Record<string, unknown> }>;

interface Pending {
  /** Null where the call was answered at once: its answer. */
  operation: string | null;
  answer: Answered;
  invalidations: number;
  log: number;
  /** Items of each list of effects that have been looked at. */
  effects: Record<string, number>;
}

interface Answered {
  status: number;
  body: Record<string, unknown>;
}

const ASYNC = { prefer: 'respond-async' };

/**
 * Replays a scenario as a client would, one REST request a step, against a service that was just reset.
 * It shares with the service's own replay only how an observation is compared.
 */
export async function replayOverHttp(http: Exchange, scenario: Scenario): Promise<DifferenceView[]> {
  const differences: DifferenceView[] = [];
  const pending = new Map<string, Pending>();
  const held = new Set<string>();
  for (const [index, step] of scenario.steps.entries()) {
    const note = (field: string, expected: unknown, actual: unknown) =>
      differences.push({ step: index, call: step.call, field, expected, actual });
    noteHolder(step, held);
    if (step.expect?.hangs) {
      const hung = await request(http, step, ASYNC);
      if (hung.status !== 202) note('hangs', 202, hung.status);
      for (const device of held) await http('POST', `/v1/devices/${device}/resume-callbacks`, {});
      const operations = [...pending.values()].map((p) => p.operation);
      for (const operation of [...operations, String(hung.body.operation)]) {
        const { body } = await http('GET', `/v1/operations/${operation}?wait=1&timeoutMs=1000`);
        const answer = body.answer as { body: Record<string, unknown> } | undefined;
        if (answer?.body.errno !== 'EDEADLK') note('hangs', 'EDEADLK', answer?.body.errno ?? null);
      }
      continue;
    }
    const seen = await observe(http, step, pending);
    if (step.expect) for (const m of compare(step.expect, seen)) note(m.field, m.expected, m.actual);
  }
  return differences;
}

function noteHolder(step: Step, held: Set<string>): void {
  const driver = step.driver as { holdCallbacks?: boolean } | undefined;
  if (driver?.holdCallbacks) held.add(String(step.device));
}

async function observe(http: Exchange, step: Step, pending: Map<string, Pending>): Promise<Observation> {
  let status: number;
  let body: Record<string, unknown>;
  let seenBefore = 0;
  let logBefore = 0;
  let effectsBefore: Record<string, number> = {};
  if (step.call === 'await') {
    const waited = pending.get(String(step.of))!;
    const { operation, answer } = waited;
    effectsBefore = waited.effects;
    seenBefore = waited.invalidations;
    logBefore = waited.log;
    if (step.timeoutMs === undefined) pending.delete(String(step.of));
    else if (operation !== null) await http('POST', '/v1/sleep', { milliseconds: step.timeoutMs });
    ({ status, body } =
      operation === null ? answer : await answerOf(http, operation, step.timeoutMs === undefined));
    Object.assign(waited, shownOf(body));
  } else {
    ({ status, body } = await request(http, step, step.async === undefined ? {} : ASYNC));
  }
  const invalidations = (body.invalidations ?? []) as unknown[];
  if (step.async !== undefined) {
    pending.set(step.async, {
      operation: status === 202 ? String(body.operation) : null,
      answer: { status, body },
      ...shownOf(body),
    });
  }
  const locked = await lockedPages(http, step);
  const devices: Record<string, Record<string, unknown>> = {};
  for (const device of Object.keys(step.expect?.devices ?? {})) {
    const { status: there, body: shown } = await http('GET', `/v1/devices/${device}`);
    if (there === 200) devices[device] = shown.state as Record<string, unknown>;
  }
  const { body: models } = step.expect?.devices ? await http('GET', '/v1/models') : { body: {} };
  return {
    errno: (body.errno as string | undefined) ?? (status >= 400 && !body.killed ? `status ${status}` : null),
    killed: body.killed === true,
    wedged: status === 423,
    pending: status === 202,
    body,
    invalidations: invalidations.slice(seenBefore),
    log: ((body.log ?? []) as unknown[]).slice(logBefore),
    effects: Object.fromEntries(
      EFFECTS.flatMap((field) => newItems(field, body[field], effectsBefore[field])),
    ),
    devices: Object.fromEntries(Object.entries(devices).map(([id, state]) => [id, withoutInjected(state)])),
    models: Object.assign({}, ...Object.values(models)),
    ...locked,
  };
}

/** What an operation came to; 202 while it is under way. */
async function answerOf(http: Exchange, operation: string, waits: boolean): Promise<Answered> {
  const query = waits ? '?wait=1&timeoutMs=1000' : '';
  const { body } = await http('GET', `/v1/operations/${operation}${query}`);
  return body.done ? (body.answer as Answered) : { status: 202, body };
}

/** How much of an answer there is to be seen. */
function shownOf(body: Record<string, unknown>): Pick<Pending, 'invalidations' | 'log' | 'effects'> {
  const count = (field: string) => (body[field] as unknown[] | undefined)?.length ?? 0;
  return {
    invalidations: count('invalidations'),
    log: count('log'),
    effects: Object.fromEntries(EFFECTS.map((field) => [field, count(field)])),
  };
}

/** Locked pages of the process that made the call, and of every process. */
async function lockedPages(http: Exchange, { process, expect }: Step) {
  const { status, body } = await http('GET', `/v1/processes/${process ?? 'p0'}`);
  const { body: all } = expect?.lockedPagesOf
    ? await http('GET', '/v1/processes')
    : { body: { processes: [] } };
  const processes = all.processes as { process: string; lockedPages: number }[];
  return {
    lockedPages: status === 200 ? (body.lockedPages as number) : null,
    lockedPagesOf: Object.fromEntries(processes.map((one) => [one.process, one.lockedPages])),
  };
}

const EFFECTS = [...Object.keys(DRIVER_EFFECTS), ...Object.keys(KERNEL_EFFECTS)];

/** A list of effects without the items that have been looked at. */
function newItems(field: string, value: unknown, before = 0): [string, unknown][] {
  const fresh = Array.isArray(value) ? value.slice(before) : value;
  return fresh === undefined || (Array.isArray(fresh) && fresh.length === 0) ? [] : [[field, fresh]];
}

/** A device's state without the answers that wait for its queues, which no recording tells. */
function withoutInjected(state: Record<string, unknown>): Record<string, unknown> {
  const { queues } = state;
  if (!Array.isArray(queues)) return state;
  return { ...state, queues: queues.map(({ injected: _injected, ...queue }) => queue) };
}

function request(http: Exchange, step: Step, headers: Record<string, string>) {
  const { method, url, body } = requestOf(callOf(step));
  return http(method, url, body, headers);
}

/** The REST request of a call; an id that is none stays in the path as it is. */
export function requestOf({ call, ...args }: CallObject): { method: string; url: string; body: unknown } {
  const { method, url } = restOf(call as CallName);
  const target = callEntry(call as CallName).on;
  let path = url;
  if (target !== 'host') {
    path = url.replace(`:${target}`, encodeURIComponent(String(args[target])));
    delete args[target];
  }
  if (method === 'POST') return { method, url: path, body: args };
  const query = new URLSearchParams(args as Record<string, string>);
  return { method, url: query.size > 0 ? `${path}?${query}` : path, body: undefined };
}
