import { execFile, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { delimiter, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { useOneRig } from '../harness/http-rig.ts';

const FOLDER = fileURLToPath(new URL('../../examples/stories/', import.meta.url));
const SCRIPTS = readdirSync(FOLDER).filter((name) => /^\d\d-.*\.sh$/.test(name));
/** Longest a story may take, milliseconds. */
const STORY_MS = 40_000;

/** One request of a story, and its answer. */
interface Exchange {
  request: string;
  status: number;
  body: Body;
}
interface Body {
  killed?: boolean;
  errno?: string;
  splat?: { kind: string; function: string; condition: string; tasks?: { call: string }[] };
  invalidations?: { device: string; iova: string; length: string }[];
  log?: { kind: string; function: string; condition: string }[];
  advisories?: { kind: string; devices: string[]; iova: string; count: number }[];
  pins?: { iova: string; refCount: number; devices: { device: string; count: number }[] }[];
  answer?: { status: number; body: Body };
  events?: { webhook: { outcome: string; status?: number; reason?: string } }[];
  size?: string;
  operation?: string;
  unpinnedNotHeld?: { device: string; iova: string; npage: number }[];
  done?: boolean;
  response?: number;
  cc?: number;
  instructions?: { op: string; apqn: number; response: number }[];
}

const rig = useOneRig();
const outputs = new Map<string, string>();

// All at once: they must not disturb each other, because each has a rig of its own.
beforeAll(async () => {
  if (spawnSync('curl', ['--version']).status !== 0) {
    throw new Error('curl is not on the PATH: the stories are curl scripts and cannot be run');
  }
  await rig.listen();
  const env = {
    ...process.env,
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
    RIG: undefined,
    DRIVER_HOST: undefined,
  };
  await Promise.all(
    SCRIPTS.map(async (name) => {
      const args = [`${FOLDER}${name}`, rig.url];
      const { stdout, stderr } = await promisify(execFile)('sh', args, { env, timeout: STORY_MS });
      expect(stderr, name).toBe('');
      outputs.set(name.slice(0, 2), stdout);
    }),
  );
}, STORY_MS + 10_000);

/** Everything a story asked and was answered. */
function told(story: string): Exchange[] {
  const lines = outputs.get(story)!.split('\n');
  return lines.flatMap((line, i) => {
    if (!line.startsWith('> ')) return [];
    const [, status, body] = /^< (\d{3}) (.*)$/.exec(lines[i + 1]!)!;
    return { request: line.slice(2), status: Number(status), body: body === '' ? {} : JSON.parse(body!) };
  });
}

/** Those whose request has `part`. */
const asked = (story: string, part: string) => told(story).filter(({ request }) => request.includes(part));
/** The devices that an unmap called, in order. */
const called = ({ body }: Exchange) => body.invalidations?.map(({ device }) => device);
const eleven = (device: string) => Array<string>(11).fill(device);
const kinds = ({ body }: Exchange) => (body.advisories ?? []).map(({ kind }) => kind);

/** Eleven callbacks to `device`, the BUG_ON, and a dead caller. */
function expectBug(unmap: Exchange, device: string): void {
  expect(unmap.status).toBe(409);
  expect(unmap.body.killed).toBe(true);
  expect(called(unmap)).toEqual(eleven(device));
  expect(unmap.body.splat).toMatchObject({ kind: 'BUG_ON', function: 'vfio_dma_do_unmap' });
  expect(unmap.body.log?.at(-1)).toMatchObject({ kind: 'BUG_ON', condition: '++retries > 10' });
}

/** Success, with one callback to each of `devices` in this order. */
function expectSuccess(unmap: Exchange, devices: string[]): void {
  expect(unmap.status).toBe(200);
  expect(called(unmap)).toEqual(devices);
  expect(unmap.body).not.toHaveProperty('log');
}

test('there are fourteen stories, each with a heading and a rig of its own', async () => {
  expect(SCRIPTS.map((name) => Number(name.slice(0, 2)))).toEqual(
    Array.from({ length: 14 }, (_, i) => i + 1),
  );
  for (const [story, output] of outputs) expect(output).toMatch(new RegExp(`^== ${Number(story)}\\. .+\\n`));
  const { rigs } = (await rig.http('GET', '/v1/rigs')).body as { rigs: { rig: string }[] };
  const names = rigs.map((described) => described.rig).filter((name) => name.startsWith('story-'));
  expect(names.sort()).toEqual(SCRIPTS.map((name) => `story-${name.slice(0, 2)}`));
});

test('a script fails, and says so, when nobody listens', async () => {
  const run = promisify(execFile)('sh', [`${FOLDER}${SCRIPTS[0]}`, 'http://127.0.0.1:1']);
  await expect(run).rejects.toMatchObject({ stderr: expect.stringContaining('curl') });
});

describe('what the stories print', () => {
  test('1: three scattered pages, one callback', () => {
    const [before, after] = asked('01', '/pins');
    expect(before!.body.pins?.map(({ iova }) => iova)).toEqual(['0x3000', '0x42000', '0xff000']);
    const [unmap] = asked('01', '/unmap-dma');
    expectSuccess(unmap!, ['gpu']);
    expect(unmap!.body.invalidations).toEqual([{ device: 'gpu', iova: '0x0', length: '0x100000' }]);
    expect(after!.body.pins).toEqual([]);
  });

  test('2: eleven callbacks, BUG_ON, the leftover pin and its holder, the wedged container', () => {
    const [unmap] = asked('02', '/unmap-dma');
    expectBug(unmap!, 'ccw');
    expect(unmap!.body.advisories).toContainEqual(
      expect.objectContaining({ kind: 'IGNORED_INVALIDATION', devices: ['ccw'], iova: '0x15000', count: 11 }),
    );
    expect(asked('02', '/pins')[0]!.body.pins).toMatchObject([
      { iova: '0x15000', refCount: 1, devices: [{ device: 'ccw', count: 1 }] },
    ]);
    expect(told('02').at(-1)!.status).toBe(423);
  });

  test('3: BUG_ON off the first byte; at it success, and the later reset WARNs', () => {
    const [near, first] = asked('03', '/unmap-dma');
    expectBug(near!, 'ap-near');
    expect(kinds(near!)).toContain('START_ONLY_CHECK');
    expectSuccess(first!, ['ap-first']);
    expect(asked('03', '/ap-reset')[0]).toMatchObject({
      status: 200,
      body: {
        log: [{ kind: 'WARN_ON', function: 'vfio_iommu_type1_unpin_pages', condition: 'i != npage' }],
      },
    });
  });

  test('4: the kernel says nothing, the advisory does; in the other order there is nothing to say', () => {
    const [harm, none] = asked('04', '/unmap-dma');
    expectSuccess(harm!, ['ap', 'ccw']);
    expect(harm!.body.advisories).toContainEqual(
      expect.objectContaining({ kind: 'FOREIGN_UNPIN', devices: ['ap', 'ccw'], iova: '0x10000' }),
    );
    expectSuccess(none!, ['ccw', 'ap']);
    expect(kinds(none!)).not.toContain('FOREIGN_UNPIN');
  });

  test('5: all succeed, with nothing to say and nothing left', () => {
    const [unmap] = asked('05', '/unmap-dma');
    expectSuccess(unmap!, ['gpu', 'ap', 'ccw']);
    expect(kinds(unmap!)).toEqual([]);
    expect(asked('05', '/pins')[0]!.body.pins).toEqual([]);
    expect(asked('05', '/ap-reset')[0]).toMatchObject({ status: 200, body: {} });
    expect(asked('05', '/ap-reset')[0]!.body).not.toHaveProperty('log');
  });

  test('6: NOTIFY_BAD ends the chain; the device opened later is told late, or never', () => {
    const [once, always] = asked('06', '/unmap-dma');
    const { log, ...body } = once!.body;
    expect(log).toEqual([{ kind: 'PR_WARN', text: 'vfio_ccw: could not quiesce subchannel 0.0.0000!' }]);
    expectSuccess({ ...once!, body }, ['ccw', 'ccw', 'gpu']);
    expectBug(always!, 'ccw');
    expect(asked('06', '/pins')[0]!.body.pins?.map(({ devices }) => devices[0]?.device)).toEqual([
      'ccw',
      'gpu',
    ]);
  });

  test('7: the upper mapping first is the BUG_ON, the lower one first releases both', () => {
    for (const { body } of asked('07', '/gvt-map-page')) expect(body.size).toBe('2M');
    const [upper, lower, rest] = asked('07', '/unmap-dma');
    expectBug(upper!, 'gpu-up');
    expectSuccess(lower!, ['gpu-down']);
    expectSuccess(rest!, []);
  });

  test('8: no callback while nothing is pinned, and never one to a driver without dma_unmap', () => {
    const [before, after] = asked('08', '/unmap-dma');
    expectSuccess(before!, []);
    expectSuccess(after!, ['gpu']);
  });

  test('9: right, wrong, slow, dead', () => {
    const [right, wrong, slow, dead] = asked('09', '/unmap-dma');
    expectSuccess(right!, ['dev-right']);
    expect(kinds(right!)).toEqual([]);
    expectBug(wrong!, 'dev-wrong');
    // The unpin comes half a second after the first deadline: during the second callback, or later on a machine
    // that is busy.
    expect(slow!.status).toBe(200);
    expect(called(slow!)!.length).toBeGreaterThanOrEqual(2);
    expect(slow!.body).not.toHaveProperty('log');
    expect(kinds(slow!)).toEqual(['IGNORED_INVALIDATION']);
    expectBug(dead!, 'dev-dead');
    const deliveries = asked('09', '/v1/events').map(({ body }) => body.events![0]!.webhook);
    expect(deliveries).toMatchObject([
      { outcome: 'returned', status: 204 },
      { outcome: 'returned', status: 204 },
      { outcome: 'failed', reason: 'no answer within 1000 ms' },
      { outcome: 'failed', reason: expect.stringContaining('ECONNREFUSED') },
    ]);
  });

  test('10: EDEADLK for all three, the splat names them, the container is wedged', () => {
    const [unpin, fine] = asked('10', '/unpin-pages');
    expect(unpin).toMatchObject({ status: 409, body: { errno: 'EDEADLK', splat: { kind: 'DEADLOCK' } } });
    expect(unpin!.body.splat?.tasks?.map(({ call }) => call)).toEqual([
      'unpin-pages',
      'open-device',
      'unmap-dma',
    ]);
    const [unmap, open, unmapAgain, openAgain] = asked('10', '/v1/operations/').map(({ body }) => body);
    for (const ended of [unmap, open]) {
      expect(ended).toMatchObject({ done: true, answer: { status: 409, body: { errno: 'EDEADLK' } } });
    }
    expect(asked('10', '/iommu-info')[0]!.status).toBe(423);
    expect(fine!.status).toBe(200);
    expect(unmapAgain).toMatchObject({ done: true, answer: { status: 200, body: { size: '0x10000' } } });
    expect(openAgain).toMatchObject({ done: true, answer: { status: 200 } });
  });

  test('11: up to 6.2 an IDA list that cannot be read takes a page from another driver', () => {
    const [taken, kept] = asked('11', '/ccw-start');
    expect(taken).toMatchObject({ status: 422, body: { errno: 'EINVAL' } });
    expect(taken!.body.unpinnedNotHeld).toEqual([{ device: 'ccw', iova: '0x15000', npage: 2 }]);
    expect(kinds(taken!)).toContain('FOREIGN_UNPIN');
    expect(kept!.body).toMatchObject({ errno: 'EINVAL' });
    expect(kept!.body.unpinnedNotHeld).toBeUndefined();
    expect(asked('11', '/pins').map(({ body }) => body.pins?.map(({ iova }) => iova))).toEqual([
      [],
      ['0x15000'],
    ]);
    const [unasked, asks] = asked('11', '/unmap-dma');
    expectSuccess(unasked!, []);
    expectSuccess(asks!, ['ccw', 'gpu']);
  });

  test('12: 07 is 00 to 5.10, which keeps the page pinned; 6.1 reads it', () => {
    const [old, later] = asked('12', '/ap-enable-interrupt');
    for (const { body } of [old!, later!]) {
      expect(body.instructions?.[0]).toMatchObject({ op: 'aqic-enable', apqn: 0, response: 7 });
    }
    expect(old!.body).toMatchObject({ response: 0, cc: 0 });
    expect(later!.body).toMatchObject({ response: 7, cc: 3 });
    const [kept, released] = asked('12', '/pins').map(({ body }) => body.pins);
    expect(kept).toMatchObject([{ iova: '0x14000', refCount: 1 }]);
    expect(released).toEqual([]);
  });

  test('13: 6.1 hides the queue and does not reset it; 6.12 does', () => {
    const [assigned, assignedLater] = asked('13', '/ap-assign');
    const [unassigned] = asked('13', '/ap-unassign');
    expect(assigned!.body).not.toHaveProperty('instructions');
    expect(unassigned!.body).not.toHaveProperty('instructions');
    expect(assignedLater!.body.instructions?.map(({ op }) => op)).toContain('zapq');
    const [left, none] = asked('13', '/pins').map(({ body }) => body.pins);
    expect(left).toMatchObject([{ iova: '0x14008', refCount: 1, devices: [{ device: 'ap', count: 1 }] }]);
    expect(none).toEqual([]);
    const [bug, fine] = asked('13', '/unmap-dma');
    expectBug(bug!, 'ap');
    expectSuccess(fine!, []);
  });

  test('14: a pin of an adapter that the guest does not have is left at unassign; of one that it has, not', () => {
    const [hidden, had] = asked('14', '/ap-unassign');
    expect(hidden!.body).not.toHaveProperty('instructions');
    expect(had!.body.instructions).not.toEqual([]);
    expect(asked('14', '/pins')[0]!.body.pins).toMatchObject([{ iova: '0x14008', refCount: 1 }]);
    const [bug, fine] = asked('14', '/unmap-dma');
    expectBug(bug!, 'ap0');
    expectSuccess(fine!, []);
  });
});
