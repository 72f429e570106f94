import { describe, expect, test } from 'vitest';
import { Work } from '../../src/explore/work.ts';
import { Rig } from '../../src/rig/rig.ts';
import { Rigs } from '../../src/rig/rigs.ts';
import { newHost } from '../harness/host.ts';
import { replayOverHttp } from '../harness/http-replay.ts';
import { useRig } from '../harness/http-rig.ts';
import { recordings } from '../harness/recordings.ts';

const rig = useRig();

const as = (name: string) => ({ 'x-rig': name });

test('rigs share nothing: ids, kernel, parameters, journal, taint, once-only warnings', async () => {
  for (const name of ['one', 'two']) {
    const { body } = await rig.http('POST', '/v1/containers', {}, as(name));
    expect(body.container).toBe('c0');
  }
  await rig.http('POST', '/v1/reset', { kernel: '5.10' }, as('one'));
  await rig.http('POST', '/v1/set-parameters', { dmaEntryLimit: 7 }, as('one'));
  const seen = await Promise.all(
    ['one', 'two', 'default'].map((name) => rig.http('GET', '/v1', undefined, as(name))),
  );
  expect(
    seen.map(({ body }) => [body.rig, body.kernel, (body.counts as { containers: number }).containers]),
  ).toEqual([
    ['one', '5.10', 0],
    ['two', '6.1', 1],
    ['default', '6.1', 0],
  ]);
  expect(seen.map(({ body }) => (body.parameters as { dmaEntryLimit: number }).dmaEntryLimit)).toEqual([
    7, 65535, 65535,
  ]);
});

test('without the header there is the rig default; a reset clears only the caller’s', async () => {
  await rig.http('POST', '/v1/containers', {});
  await rig.http('POST', '/v1/containers', {}, as('other'));
  await rig.http('POST', '/v1/reset', {}, as('other'));
  const { body } = await rig.http('GET', '/v1/rigs');
  expect(body.rigs).toEqual([
    expect.objectContaining({ rig: 'default', containers: 1 }),
    expect.objectContaining({ rig: 'other', containers: 0 }),
  ]);
});

test('a deleted rig is gone, and made anew on its next use', async () => {
  await rig.http('POST', '/v1/containers', {}, as('gone'));
  expect((await rig.http('DELETE', '/v1/rigs/gone')).status).toBe(204);
  expect((await rig.http('DELETE', '/v1/rigs/gone')).status).toBe(404);
  expect((await rig.http('POST', '/v1/containers', {}, as('gone'))).body.container).toBe('c0');
});

test('a name that is no id is refused, and rigs beyond the limit are', async () => {
  const { status, body } = await rig.http('GET', '/v1', undefined, as('No Rig'));
  expect([status, body.detail]).toEqual([
    400,
    expect.stringContaining('x-rig is "No Rig", but must be a name'),
  ]);
  await rig.start({ maxRigs: 2 });
  expect((await rig.http('POST', '/v1/reset', {}, as('a'))).status).toBe(204);
  expect((await rig.http('POST', '/v1/reset', {}, as('b'))).status).toBe(204);
  expect((await rig.http('POST', '/v1/reset', {}, as('c'))).status).toBe(429);
});

test('a name may have capitals, as names of tests do, and tells rigs apart by them', async () => {
  for (const name of ['UnmapTest.PinsLeft', 'unmaptest.pinsleft']) {
    expect((await rig.http('POST', '/v1/containers', {}, as(name))).body.container).toBe('c0');
  }
  expect((await rig.http('GET', '/v1', undefined, as('UnmapTest.PinsLeft'))).body.rig).toBe(
    'UnmapTest.PinsLeft',
  );
  expect((await rig.http('GET', '/v1/trace', undefined, as('UnmapTest.PinsLeft'))).body.id).toBe(
    'UnmapTest.PinsLeft',
  );
  expect((await rig.http('DELETE', '/v1/rigs/UnmapTest.PinsLeft')).status).toBe(204);
  const { body } = await rig.http('GET', '/v1/rigs');
  expect((body.rigs as { rig: string }[]).map((one) => one.rig)).toEqual(['unmaptest.pinsleft']);
});

test.each([
  ['GET', '/v1'],
  ['GET', '/v1/containers'],
  ['GET', '/v1/containers/c0/mappings'],
  ['GET', '/v1/events'],
  ['GET', '/v1/trace'],
  ['GET', '/v1/dmesg'],
  ['GET', '/v1/snapshot'],
  ['GET', '/v1/kernels'],
  ['HEAD', '/v1'],
  ['DELETE', '/v1/containers/c0'],
])('%s %s of a rig that is not there is answered 404 and makes none', async (method, url) => {
  const { statusCode, body } = await rig.app.inject({
    method: method as 'GET',
    url,
    headers: as('mistyped'),
  });
  expect(statusCode).toBe(404);
  if (method !== 'HEAD') expect(JSON.parse(body).detail).toContain('there is no rig "mistyped"');
  expect((await rig.http('GET', '/v1/rigs')).body.rigs).toEqual([]);
});

test('the default rig is always there, also by its name', async () => {
  expect((await rig.http('GET', '/v1')).body.rig).toBe('default');
  await rig.http('DELETE', '/v1/rigs/default');
  expect((await rig.http('GET', '/v1', undefined, as('default'))).body.rig).toBe('default');
});

test('log lines name their rig', async () => {
  await rig.http('POST', '/v1/reset', {}, as('named'));
  expect(rig.lines.find(({ msg }) => msg === 'reset')).toMatchObject({ rig: 'named' });
});

describe('idle rigs', () => {
  function rigs(idleMs: number, capacity: number) {
    const clock = { now: 0 };
    const make = (name: string, now: number) => new Rig(name, newHost(), 16, () => {}, now);
    return { clock, all: new Rigs(make, capacity, idleMs, () => clock.now) };
  }

  test('make room when the service is full, oldest use first to go beyond the time', () => {
    const { clock, all } = rigs(1000, 2);
    all.use('a');
    clock.now = 500;
    all.use('b');
    clock.now = 1200;
    all.use('c');
    expect(all.list().map(({ name }) => name)).toEqual(['b', 'c']);
    expect(() => all.use('d')).toThrow('2 rigs');
  });

  test('stay for ever where no time is set', () => {
    const { clock, all } = rigs(0, 2);
    all.use('a');
    clock.now = 1e12;
    all.sweep();
    expect(all.list().length).toBe(1);
  });

  test('stay while a call is under way', () => {
    const { clock, all } = rigs(1000, 2);
    const { host } = all.use('a');
    host.start({ call: 'open-container' });
    host.start({ call: 'create-device', driver: { type: 'manual', openDevice: true } });
    host.start({ call: 'open-group', device: 'd0' });
    host.start({ call: 'set-container', device: 'd0', container: 'c0' });
    host.start({ call: 'set-iommu', container: 'c0', type: 3 });
    host.start({ call: 'open-device', device: 'd0' });
    clock.now = 5000;
    all.sweep();
    expect(all.list().length).toBe(1);
    host.start({ call: 'complete-callback', device: 'd0' });
    all.sweep();
    expect(all.list().length).toBe(0);
  });

  test('stay while a search is under way', async () => {
    const { clock, all } = rigs(1000, 2);
    const search = new Work('explore', {
      *run() {},
      *resultSteps() {
        return {};
      },
    });
    all.use('a').operations.add(search);
    clock.now = 5000;
    all.sweep();
    expect(all.list().length).toBe(1);
    await search.start();
    all.sweep();
    expect(all.list().length).toBe(0);
  });
});

test('two hundred rigs in parallel, each running different recordings at once: all as recorded', async () => {
  const { http } = rig;
  const all = ['5.10', '6.1', '6.12', '7.2'].flatMap((version) =>
    recordings(version)
      .filter(({ file }) => /corner|spec/.test(file))
      .flatMap(({ scenarios }) => scenarios),
  );
  const failed: string[] = [];
  await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const headers = as(`rig-${i}`);
      const exchange: typeof http = (method, url, body, more) =>
        http(method, url, body, { ...more, ...headers });
      for (const scenario of all.filter((_, n) => n % 200 === i)) {
        await exchange('POST', '/v1/reset', { kernel: scenario.kernel });
        if ((await replayOverHttp(exchange, scenario)).length > 0) failed.push(`rig-${i} ${scenario.id}`);
      }
    }),
  );
  const { body } = await http('GET', '/v1/rigs');
  expect((body.rigs as unknown[]).length).toBe(200);
  console.log(`${all.length} scenarios over ${(body.rigs as unknown[]).length} rigs at once`);
  expect(failed).toEqual([]);
});
