import { beforeAll, describe, expect, test } from 'vitest';
import { CALL_NAMES, type CallName, callEntry } from '../../schemas/calls.ts';
import type { VfioHostClient } from '../../src/client/index.ts';
import { useOneRig } from '../harness/http-rig.ts';

const rig = useOneRig();
let client: VfioHostClient;
beforeAll(async () => {
  client = await rig.listen();
});

const CALLS = CALL_NAMES;
const camelCase = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());

/** The object of a client that has a call's method. */
function objectFor(call: CallName): Record<string, unknown> {
  const objects = {
    host: client,
    process: client.process('x'),
    container: client.container('x'),
    device: client.device('x'),
    fault: client.fault('x'),
  };
  return objects[callEntry(call).on] as unknown as Record<string, unknown>;
}

describe.each(CALLS)('%s', (call) => {
  test('is a method in camel case, of the object it is made on alone', () => {
    const name = camelCase(call);
    expect(objectFor(call)[name]).toBeTypeOf('function');
    const others = ['process', 'container', 'device', 'fault'].map((kind) => client[kind as 'device']('x'));
    expect([client, ...others].filter((object) => name in object)).toHaveLength(1);
  });

  test('reaches its route', async () => {
    const target = objectFor(call) as unknown as VfioHostClient;
    const { status, body } = await target.raw(call as 'open-container', {});
    expect(body.type ?? '').not.toMatch(/no-such-route$/);
    expect([200, 201, 204, 400, 404]).toContain(status);
  });
});
