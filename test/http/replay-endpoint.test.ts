import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, test } from 'vitest';
import { workFor } from '../../routes/work.ts';
import { Fnv } from '../../src/json/fnv.ts';
import { ok, startRig, useOneRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { recordings } from '../harness/recordings.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useOneRig();
beforeEach(() => ok(rig.post('reset')));

type Step = { call: string; [field: string]: unknown };

/** A container with an open mdev, a mapping with a pin, and an unmap that the driver heeds. */
function scenario(): Step[] {
  return [
    { call: 'open-container', container: 'c0', expect: { errno: null, lockedPages: 0 } },
    {
      call: 'create-device',
      device: 'd0',
      driver: synthetic('unpin-range'),
      expect: { errno: null, lockedPages: 0 },
    },
    { call: 'open-group', device: 'd0', expect: { errno: null } },
    { call: 'set-container', device: 'd0', container: 'c0', expect: { errno: null } },
    { call: 'set-iommu', container: 'c0', type: 3, expect: { errno: null } },
    { call: 'open-device', device: 'd0', expect: { errno: null } },
    {
      call: 'map-dma',
      container: 'c0',
      iova: '0x10000',
      vaddr: '0x10000',
      size: '0x2000',
      flags: 3,
      expect: { errno: null, lockedPages: 0 },
    },
    {
      call: 'pin-pages',
      device: 'd0',
      iova: '0x10000',
      npage: 2,
      prot: 3,
      expect: { errno: null, pinned: 2, lockedPages: 2 },
    },
    { call: 'pin-pages', device: 'd0', iova: '0x10000', npage: 0, prot: 3, expect: { errno: 'EINVAL' } },
    {
      call: 'unmap-dma',
      container: 'c0',
      iova: '0x10000',
      size: '0x2000',
      expect: {
        errno: null,
        size: '0x2000',
        invalidations: [{ device: 'd0', iova: '0x10000', length: '0x2000' }],
        lockedPages: 0,
      },
    },
  ];
}

const replay = (steps: Step[], more: object = {}) => rig.post('replay', { id: 'mine', steps, ...more });

describe('a scenario', () => {
  test('whose expectations come true has no differences', async () => {
    const answer = await replay(scenario());
    expect(answer).toMatchObject({ status: 200, type: 'application/json; charset=utf-8' });
    expect(answer.body).toEqual({ id: 'mine', kernel: '6.1', steps: 10, differences: [] });
  });

  test('without expectations has no differences', async () => {
    const steps = scenario().map(({ expect: _, ...step }) => step as Step);
    expect((await ok(replay(steps))).differences).toEqual([]);
  });

  test('of no steps has no differences', async () => {
    expect((await ok(replay([]))).differences).toEqual([]);
  });

  test.each([
    [6, 'errno', 'EEXIST', null],
    [8, 'errno', null, 'EINVAL'],
    [7, 'pinned', 1, 2],
    [7, 'lockedPages', 3, 2],
    [9, 'size', '0x1000', '0x2000'],
    [9, 'killed', true, false],
    [9, 'pending', true, false],
    [9, 'invalidations', undefined, [{ device: 'd0', iova: '0x10000', length: '0x2000' }]],
    [6, 'invalidations', [{ device: 'd0', iova: '0x0', length: '0x1000' }], []],
    [6, 'log', [{ kind: 'BUG_ON' }], []],
    [7, 'value', 1, undefined],
    [9, 'dirtyPages', [0], undefined],
    [9, 'hangs', true, false],
  ])(
    'whose step %i expects another %s is told what was expected and what came',
    async (index, field, expected, actual) => {
      const steps = scenario();
      const step = steps[index]!;
      step.expect = { ...(step.expect as object), [field]: expected };
      const { differences } = await ok(replay(steps));
      const shown = field === 'invalidations' ? (expected ?? []) : expected;
      expect(differences[0]).toEqual({
        step: index,
        call: step.call,
        field,
        expected: shown,
        ...(actual === undefined ? {} : { actual }),
      });
    },
  );

  test('with several wrong expectations is told of every one, in order', async () => {
    const steps = scenario();
    steps[0]!.expect = { errno: 'EEXIST' };
    steps[7]!.expect = { errno: null, pinned: 5, lockedPages: 9 };
    const { differences } = await ok(replay(steps));
    expect(differences.map(({ step, field }: { step: number; field: string }) => [step, field])).toEqual([
      [0, 'errno'],
      [7, 'pinned'],
      [7, 'lockedPages'],
    ]);
  });

  test('with a call that is held is followed by async and await', async () => {
    const steps = scenario();
    steps[1]!.driver = synthetic('unpin-range', { holdCallbacks: true });
    const callback = [{ device: 'd0', iova: '0x10000', length: '0x2000' }];
    steps[9] = {
      ...steps[9]!,
      async: 'u',
      expect: { pending: true, invalidations: callback, lockedPages: 2 },
    };
    steps.push(
      { call: 'resume-callbacks', device: 'd0', expect: { errno: null } },
      { call: 'await', of: 'u', expect: { errno: null, size: '0x2000', lockedPages: 0 } },
    );
    expect((await ok(replay(steps))).differences).toEqual([]);
  });

  test('on each kernel that there is, by its own rules', async () => {
    for (const kernel of ['5.10', '6.1', '6.12', '7.2']) {
      const [found] = recordings(kernel).filter(({ file }) => file.startsWith('spec-cases'));
      for (const recorded of found!.scenarios.slice(0, 20)) {
        const answer = await ok(rig.post('replay', recorded));
        expect(answer).toEqual({ id: recorded.id, kernel, steps: recorded.steps.length, differences: [] });
      }
    }
  });

  test('leaves the host of the service as it was, and no entry in its journal', async () => {
    await rig.container(synthetic('ignore'));
    await rig.map('0x10000', '0x1000');
    const before = await rig.state();
    const events = (await ok(rig.get('events'))).events;
    await ok(replay(scenario()));
    expect(await rig.state()).toEqual(before);
    expect((await ok(rig.get('events'))).events).toEqual(events);
  });

  test('starts from nothing, whatever the host of the service holds', async () => {
    await rig.container(synthetic('ignore'));
    await ok(rig.post('set-parameters', { dmaEntryLimit: 0 }));
    expect((await ok(replay(scenario()))).differences).toEqual([]);
    expect((await ok(replay(scenario()))).differences).toEqual([]);
  });
});

describe('a scenario that is none', () => {
  test('because a step names what is not there is refused with 404 that names the step', async () => {
    const answer = await replay([...scenario(), { call: 'dirty-start', container: 'c9' }]);
    expectProblem(answer, { status: 404, slug: 'not-found', detail: ['step 10', 'container "c9"'] });
  });

  test.each([
    ['a call nobody knows', { call: 'remap-dma' }, ['step 10', '"remap-dma"']],
    [
      'an argument too many',
      { call: 'dirty-start', container: 'c0', force: true },
      ['step 10', 'force', 'not a known field'],
    ],
    [
      'an argument of a wrong type',
      { call: 'check-extension', container: 'c0', extension: '1' },
      ['step 10', 'extension', '"1"'],
    ],
    ['no id', { call: 'dirty-start' }, ['step 10', 'container', 'missing']],
    ['an id that is none', { call: 'dirty-start', container: 'C0' }, ['step 10', '"C0"']],
    ['an await of nothing', { call: 'await', of: 'u7' }, ['step 10', '"u7"']],
    ['no call', { container: 'c0' }, ['steps/10', 'call', 'missing']],
    [
      'an expectation nobody knows',
      { call: 'dirty-start', container: 'c0', expect: { errnos: null } },
      ['steps/10', 'errnos'],
    ],
    [
      'an expectation of a wrong type',
      { call: 'dirty-start', container: 'c0', expect: { pinned: '1' } },
      ['steps/10', 'pinned', '"1"'],
    ],
  ])('because a step has %s is refused with 400 that names the step', async (_name, step, detail) => {
    const answer = await replay([...scenario(), step as Step]);
    expectProblem(answer, { status: 400, detail });
  });

  test.each([
    ['no steps', {}, ['steps', 'missing']],
    ['steps that are no list', { steps: {} }, ['steps', 'array']],
    ['a field too many', { steps: [], name: 'x' }, ['name', 'not a known field']],
    ['a kernel nobody has', { steps: [], kernel: '4.19' }, ['"4.19"', '"6.1"']],
  ])('because it has %s is refused with 400', async (_name, body, detail) => {
    expectProblem(await rig.post('replay', body), { status: 400, detail });
  });
});

test.each(['replay', 'compare'])('POST /v1/%s keeps the configured limits', async (endpoint) => {
  const small = await startRig({ maxContainers: 1 });
  try {
    const scenario = { steps: [{ call: 'open-container' }, { call: 'open-container' }] };
    const payload = endpoint === 'replay' ? scenario : { scenario };
    const { status, body } = await small.http('POST', `/v1/${endpoint}`, payload);
    expect([status, body.detail]).toEqual([
      429,
      'step 1: there are 1 containers already, which is the limit',
    ]);
  } finally {
    await small.close();
  }
});

test('a long replay lets others have their turn: /health is answered before it is done', async () => {
  const done: string[] = [];
  const call = { call: 'check-extension', container: 'c0', extension: 1, expect: { errno: null, value: 1 } };
  const steps = [{ call: 'open-container', container: 'c0' }, ...Array(30_000).fill(call)];
  const replayed = ok(rig.post('replay', { steps })).then(({ differences }) => {
    expect(differences).toEqual([]);
    done.push('replay');
  });
  // The replay has begun when its body has been read and checked.
  await new Promise((resolve) => setImmediate(resolve));
  await Promise.all([replayed, rig.request('GET', '/health').then(() => done.push('health'))]);
  expect(done).toEqual(['health', 'replay']);
});

test('reads of many bytes are held against their hash, on one kernel and on several', async () => {
  const length = 1024 * 1024;
  const read = (fnv1a64: string) => ({
    ...{ call: 'read-memory', process: 'p0', vaddr: '0x100', length },
    expect: { errno: null, fnv1a64 },
  });
  const zeros = new Fnv().take(new Uint8Array(length)).value;
  const replayed = await rig.post('replay', { steps: [read(zeros), read('0x1')] });
  expect(replayed.body).toMatchObject({
    differences: [{ step: 1, field: 'fnv1a64', expected: '0x1', actual: zeros }],
  });
  const compared = await rig.post('compare', { steps: [read(zeros)] });
  expect(compared.body).toMatchObject({ steps: [] });
});

test('an error of the emulator itself in a line of NDJSON is logged, and answered in its place', async () => {
  const broken = await startRig({ logLevel: 'error' });
  broken.service.scratch = () => {
    throw new Error('injected');
  };
  const { body } = await broken.app.inject({
    method: 'POST',
    url: '/v1/replay',
    payload: '{"steps":[]}\n{}\n',
    headers: { 'content-type': 'application/x-ndjson' },
  });
  const [one, two] = body
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect([one.problem.status, two.problem.status]).toEqual([500, 400]);
  expect(broken.lines).toMatchObject([{ msg: 'failed', err: { message: 'injected' } }]);
  await broken.close();
});

test('long work for a client that has left while its body was checked ends at its next turn', async () => {
  const raw = Object.assign(new EventEmitter(), { closed: true });
  const { service } = rig;
  const work = workFor(service, { raw } as never, (turns) => turns.next());
  await expect(work).rejects.toThrow('the client has gone');
  expect(service.works.count).toBe(0);
});
