import { describe, expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { replay } from '../../src/replay/replay.ts';
import { newHost } from '../harness/host.ts';
import { ok, useRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();

const CREATE: CallObject[] = [
  { call: 'open-container', container: 'c0' },
  { call: 'create-device', device: 'd0', driver: synthetic('ignore') },
];
const ATTACH: CallObject = { call: 'attach', container: 'c0', device: 'd0' };
const DETACH: CallObject = { call: 'detach', container: 'c0', device: 'd0' };
const PARTS = ['open-group', 'set-container', 'set-iommu', 'open-device'];
const NDJSON = { 'content-type': 'application/x-ndjson' };

async function batch(calls: readonly object[]): Promise<{ status: number; body: Record<string, unknown> }[]> {
  const payload = calls.map((call) => JSON.stringify(call)).join('\n');
  const response = await rig.app.inject({ method: 'POST', url: '/v1/batch', payload, headers: NDJSON });
  return response.body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

/** Names of the calls in the journal. */
async function journalled(): Promise<string[]> {
  const { events } = await ok(rig.get('events?kind=call'));
  return events.map(({ call }: { call: CallObject }) => call.call);
}

describe('attach and detach as calls', () => {
  test('in a batch: answered as over REST, journalled and recorded as the calls they are made of', async () => {
    const answers = await batch([...CREATE, ATTACH, DETACH]);
    const body = { container: 'c0', device: 'd0', group: 'g0' };
    expect(answers.slice(2)).toEqual([
      { status: 200, body },
      { status: 200, body: { ...body, closedDevices: ['d0'] } },
    ]);
    const all = [
      ...CREATE.map(({ call }) => call),
      ...PARTS,
      'close-device',
      'unset-container',
      'close-group',
    ];
    expect(await journalled()).toEqual(all);
    const trace = await ok(rig.get('trace'));
    expect(trace.steps.map(({ call }: CallObject) => call)).toEqual(all);
    expect((await ok(rig.post('replay', trace))).differences).toEqual([]);
  });

  test('in a batch, with a wrong argument: the line is refused in words', async () => {
    const [answer] = await batch([{ ...ATTACH, group: 'g0' }]);
    expect(answer).toMatchObject({ status: 400, body: { detail: 'attach/group is not a known field' } });
  });

  test('in a trace: replayed, and a part that is refused is what its step comes to', async () => {
    const steps = [
      ...CREATE,
      { ...ATTACH, expect: { errno: null } },
      { ...ATTACH, expect: { errno: 'EBUSY' } },
    ];
    expect((await ok(rig.post('replay', { steps }))).differences).toEqual([]);
    const wrong = [...CREATE, { ...ATTACH, expect: { errno: 'EBUSY' } }];
    expect((await ok(rig.post('replay', { steps: wrong }))).differences).toEqual([
      { step: 2, call: 'attach', field: 'errno', expected: 'EBUSY', actual: null },
    ]);
  });

  test('in a trace, with a driver outside: it waits in its last part, and is awaited', () => {
    const driver = { type: 'manual', openDevice: true };
    const steps = [
      CREATE[0]!,
      { call: 'create-device', device: 'd0', driver },
      { ...ATTACH, async: 'a', expect: { pending: true } },
      { call: 'complete-callback', device: 'd0', expect: { errno: null } },
      { call: 'await', of: 'a', expect: { errno: null } },
      { call: 'close-device', device: 'd0', expect: { errno: null } },
    ];
    const machine = new Machine(generationOf('6.1')!);
    expect(replay(machine, { id: 'outside', kernel: '6.1', steps })).toEqual([]);
  });

  test('a part that fails after it waited: the parts before are taken back at once', () => {
    const host = newHost();
    const driver = { type: 'manual', openDevice: true };
    for (const call of [CREATE[0]!, { call: 'create-device', device: 'd0', driver }]) host.start(call);
    const attach = host.start(ATTACH);
    expect(attach.answer).toBeNull();
    host.start({ call: 'complete-callback', device: 'd0', errno: 'EPERM' });
    expect(attach.answer).toMatchObject({ call: 'open-device', end: { how: 'returned', value: 'EPERM' } });
    expect(host.machine.device('d0').group).toMatchObject({ container: null, fdOpen: false });
  });

  test('a fault on attach itself is refused: its parts can fail', async () => {
    const { status, body } = await rig.post('faults', { on: 'attach', nth: 1, errno: 'EIO' });
    expect([status, body.detail]).toEqual([400, 'body of add-fault: "attach" is not a call that can fail']);
  });
});

test('GET /v1/calls lists every call with its REST form and its traits', async () => {
  const { calls } = await ok(rig.get('calls'));
  const of = (name: string) => calls.find(({ call }: { call: string }) => call === name);
  expect(of('dma-rw')).toMatchObject({ on: 'device', by: 'driver', reads: false, method: 'POST' });
  expect(of('iommu-info')).toMatchObject({ reads: true, path: '/v1/containers/{container}/iommu-info' });
  expect(of('attach')).toMatchObject({
    on: 'container',
    of: PARTS,
    args: [
      { name: 'device', required: true },
      { name: 'guest', required: false },
      { name: 'process', required: false },
    ],
  });
});
