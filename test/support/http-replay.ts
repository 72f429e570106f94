import { type CallName, callEntry, restOf } from '../../schemas/calls.ts';
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
  operation: string;
  invalidations: number;
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
  if (step.call === 'await') {
    const { operation, invalidations } = pending.get(String(step.of))!;
    pending.delete(String(step.of));
    const waited = await http('GET', `/v1/operations/${operation}?wait=1&timeoutMs=1000`);
    ({ status, body } = waited.body.answer as { status: number; body: Record<string, unknown> });
    seenBefore = invalidations;
  } else {
    ({ status, body } = await request(http, step, step.async === undefined ? {} : ASYNC));
  }
  const invalidations = (body.invalidations ?? []) as unknown[];
  if (status === 202) {
    pending.set(step.async!, { operation: String(body.operation), invalidations: invalidations.length });
  }
  const { body: process } = await http('GET', '/v1/processes/p0');
  const devices: Record<string, Record<string, unknown>> = {};
  for (const device of Object.keys(step.expect?.devices ?? {})) {
    devices[device] = (await http('GET', `/v1/devices/${device}`)).body.state as Record<string, unknown>;
  }
  return {
    errno: (body.errno as string | undefined) ?? (status >= 400 && !body.killed ? `status ${status}` : null),
    killed: body.killed === true,
    wedged: status === 423,
    pending: status === 202,
    body,
    invalidations: invalidations.slice(seenBefore),
    log: (body.log ?? []) as unknown[],
    effects: body,
    devices,
    lockedPages: process.lockedPages as number,
  };
}

async function request(http: Exchange, step: Step, headers: Record<string, string>) {
  const { call, ...args } = callOf(step);
  const { method, url } = restOf(call as CallName);
  const target = callEntry(call as CallName).on;
  let path = url;
  if (target !== 'host') {
    path = url.replace(`:${target}`, String(args[target]));
    delete args[target];
  }
  return http(String(method), path, method === 'POST' ? args : undefined, headers);
}
