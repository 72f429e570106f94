import { createHmac } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { type DriverServer, driverServer, freePort } from '../harness/driver-server.ts';
import { useRig } from '../harness/http-rig.ts';

const rig = useRig();
const open: { close(): Promise<unknown> | unknown }[] = [];

afterEach(async () => {
  for (const resource of open.splice(0)) await resource.close();
});

async function serve(answer: Parameters<typeof driverServer>[0]): Promise<DriverServer> {
  const server = await driverServer(answer);
  open.push(server);
  return server;
}

/** A container with a 16-page mapping at 0x10000 and one webhook device that has pinned its sixth page. */
async function attached(driver: Record<string, unknown>): Promise<void> {
  await must('POST', '/v1/containers', { container: 'c0' });
  await must('POST', '/v1/devices', { device: 'd0', driver: { type: 'webhook', ...driver } });
  await must('POST', '/v1/containers/c0/attach', { device: 'd0' });
  await must('POST', '/v1/containers/c0/map-dma', {
    iova: '0x10000',
    vaddr: '0x7f0000000000',
    size: '0x10000',
    flags: 3,
  });
  await must('POST', '/v1/devices/d0/pin-pages', { iova: '0x15000', npage: 1, prot: 3 });
}

async function must(method: string, url: string, body?: unknown) {
  const answer = await rig.http(method, url, body);
  expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
  return answer.body;
}

const unmap = () => rig.http('POST', '/v1/containers/c0/unmap-dma', { iova: '0x10000', size: '0x10000' });
const webhookEvents = async () =>
  (await rig.http('GET', '/v1/events?kind=webhook')).body.events as { webhook: Record<string, unknown> }[];

test('a callback carries call, container, device, range, attempt, round, seq and deadline', async () => {
  const driver = await serve((_callback, response) => {
    response.end(JSON.stringify({ unpin: [{ iova: '0x15000', npage: 1 }] }));
  });
  await attached({ url: driver.url, timeoutMs: 4000 });
  const { status, body } = await unmap();
  expect([status, body.size]).toEqual([200, '0x10000']);
  expect(driver.received.map((callback) => callback.body)).toEqual([
    {
      rig: 'default',
      call: 'dma-unmap',
      container: 'c0',
      device: 'd0',
      iova: '0x10000',
      length: '0x10000',
      attempt: 1,
      round: 1,
      seq: expect.any(Number),
      deadlineMs: 4000,
    },
  ]);
  const seq = driver.received[0]?.body.seq as number;
  const { events } = (await rig.http('GET', `/v1/events?since=${seq - 1}&limit=1`)).body as {
    events: Record<string, unknown>[];
  };
  expect(events).toEqual([expect.objectContaining({ seq, kind: 'invalidation', device: 'd0' })]);
});

test('unpins asked for in the answer are made and journalled as calls', async () => {
  const driver = await serve((_callback, response) => {
    response.end(JSON.stringify({ unpin: [{ iova: '0x15000', npage: 1 }] }));
  });
  await attached({ url: driver.url });
  await unmap();
  const { events } = (await rig.http('GET', '/v1/events?kind=call&device=d0')).body as {
    events: { call: Record<string, unknown> }[];
  };
  expect(events.at(-1)?.call).toEqual({ call: 'unpin-pages', device: 'd0', iova: '0x15000', npage: 1 });
});

test('a driver that unpins over HTTP inside its callback is right', async () => {
  const driver = await serve(async (callback, response) => {
    await must('POST', '/v1/devices/d0/unpin-pages', { iova: '0x15000', npage: 1 });
    expect(callback.body.attempt).toBe(1);
    response.writeHead(204).end();
  });
  await attached({ url: driver.url });
  const { status, body } = await unmap();
  expect([status, body.size, driver.received.length]).toEqual([200, '0x10000', 1]);
});

test('a driver that unpins nothing is called eleven times, then the BUG names its pin', async () => {
  const driver = await serve((_callback, response) => void response.writeHead(204).end());
  await attached({ url: driver.url });
  const { status, body } = await unmap();
  expect([status, body.killed]).toEqual([409, true]);
  expect(driver.received.map(({ body: { attempt } }) => attempt)).toEqual([
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
  ]);
  const bug = rig.lines.find((line) => line.level === 60);
  expect(bug?.msg).toBe('kernel BUG at drivers/vfio/vfio_iommu_type1.c:1481!');
  expect(bug?.pins).toEqual([
    { iova: '0x15000', pfn: expect.any(String), refCount: 1, devices: [{ device: 'd0', count: 1 }] },
  ]);
});

test('an unmap with respond-async lets a driver of one thread answer', async () => {
  const driver = await serve((_callback, response) => {
    response.end(JSON.stringify({ unpin: [{ iova: '0x15000', npage: 1 }] }));
  });
  await attached({ url: driver.url });
  const { status, body } = await rig.http(
    'POST',
    '/v1/containers/c0/unmap-dma',
    { iova: '0x10000', size: '0x10000' },
    { prefer: 'respond-async' },
  );
  expect(status).toBe(202);
  expect(body.invalidations).toEqual([{ device: 'd0', iova: '0x10000', length: '0x10000' }]);
  const done = await rig.http('GET', `/v1/operations/${body.operation}?wait=1&timeoutMs=5000`);
  expect(done.body.answer).toMatchObject({ status: 200, body: { size: '0x10000' } });
});

test('each body carries the HMAC of the secret, which no listing or log shows', async () => {
  const driver = await serve((_callback, response) => {
    response.end(JSON.stringify({ unpin: [{ iova: '0x15000', npage: 1 }] }));
  });
  await attached({ url: driver.url, secret: 'hush-hush' });
  await unmap();
  const { headers, text } = driver.received[0]!;
  const expected = createHmac('sha256', 'hush-hush').update(text).digest('hex');
  expect(headers['x-vfio-host-signature']).toBe(`sha256=${expected}`);
  const shown = JSON.stringify([
    (await rig.http('GET', '/v1/devices/d0')).body,
    (await rig.http('GET', '/v1/events')).body,
    rig.lines,
  ]);
  expect(shown).not.toContain('hush-hush');
});

test('openDevice and closeDevice are called too, and the driver can clean up at close', async () => {
  const driver = await serve((callback, response) => {
    const clean = callback.body.call === 'close-device';
    response.end(JSON.stringify(clean ? { unpin: [{ iova: '0x15000', npage: 1 }] } : {}));
  });
  await attached({ url: driver.url, openDevice: true, closeDevice: true });
  await must('POST', '/v1/containers/c0/detach', { device: 'd0' });
  expect(driver.received.map(({ body: { call } }) => call)).toEqual(['open-device', 'close-device']);
  expect((await rig.http('GET', '/v1/processes/p0')).body.lockedPages).toBe(0);
});

test('open-device fails with the errno the driver answers', async () => {
  const driver = await serve((_callback, response) => {
    response.end(JSON.stringify({ errno: 'EBUSY' }));
  });
  await must('POST', '/v1/containers', { container: 'c0' });
  await must('POST', '/v1/devices', {
    device: 'd0',
    driver: { type: 'webhook', url: driver.url, openDevice: true },
  });
  const { status, body } = await rig.http('POST', '/v1/containers/c0/attach', { device: 'd0' });
  expect([status, body.errno]).toEqual([409, 'EBUSY']);
  expect((await rig.http('GET', '/v1/devices/d0')).body).toMatchObject({ openCount: 0, groupOpen: false });
});

/** Ways in which a driver fails, and what the reason says. */
const failures: [string, () => Promise<Record<string, unknown>>, RegExp][] = [
  ['refuses the connection', async () => ({ url: `http://127.0.0.1:${await freePort()}/` }), /ECONNREFUSED/],
  [
    'resets the connection',
    async () => {
      const server = createServer((socket) => socket.resetAndDestroy());
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      open.push({ close: () => new Promise((resolve) => server.close(resolve)) });
      return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
    },
    /ECONNRESET|other side closed/,
  ],
  [
    'sends no headers in time',
    async () => ({ url: (await serve(() => {})).url, timeoutMs: 30 }),
    /no answer within 30 ms/,
  ],
  [
    'never ends its body',
    async () => ({
      url: (await serve((_c, response) => void response.writeHead(200).write('{'))).url,
      timeoutMs: 30,
    }),
    /no answer within 30 ms/,
  ],
  [
    'answers a huge body',
    async () => ({ url: (await serve((_c, response) => void response.end('x'.repeat(2 ** 20 + 1)))).url }),
    /over 1048576 bytes/,
  ],
  [
    'redirects',
    async () => ({
      url: (await serve((_c, response) => void response.writeHead(307, { location: '/' }).end())).url,
    }),
    /status 307: redirects are not followed/,
  ],
  [
    'answers 500',
    async () => ({ url: (await serve((_c, response) => void response.writeHead(500).end('{}'))).url }),
    /status 500/,
  ],
  [
    'answers garbage',
    async () => ({ url: (await serve((_c, response) => void response.end('<html>'))).url }),
    /not JSON/,
  ],
  [
    'answers an unknown field',
    async () => ({ url: (await serve((_c, response) => void response.end('{"unpinn": []}'))).url }),
    /answer\/unpinn is not a known field/,
  ],
];

test.for(failures)(
  'a driver that %s counts as returned without effect, with the reason',
  async ([, make, reason]) => {
    await attached(await make());
    const { status, body } = await unmap();
    expect([status, body.killed]).toEqual([409, true]);
    expect((body.invalidations as unknown[]).length).toBe(11);
    const events = await webhookEvents();
    expect(events.length).toBe(11);
    for (const { webhook } of events) {
      expect(webhook.outcome).toBe('failed');
      expect(webhook.reason).toMatch(reason);
    }
    const warned = rig.lines.filter((line) => line.level === 40 && /counts as returned/.test(line.msg));
    expect(warned.length).toBe(11);
  },
);

test('a URL outside the permitted ranges is refused at once, one behind a name when it is called', async () => {
  const { status, body } = await rig.http('POST', '/v1/devices', {
    driver: { type: 'webhook', url: 'http://93.184.216.34/' },
  });
  expect(status).toBe(400);
  expect(body.detail).toContain('93.184.216.34, which WEBHOOK_ALLOW does not list');
  await rig.start({ webhookAllow: '10.0.0.0/8' });
  const driver = await serve((_c, response) => void response.end('{}'));
  await attached({ url: driver.url.replace('127.0.0.1', 'localhost') });
  await unmap();
  expect(driver.received).toEqual([]);
  expect((await webhookEvents())[0]?.webhook.reason).toMatch(
    /localhost resolves to .* WEBHOOK_ALLOW does not list/,
  );
});

test('an origin on the list is called wherever it leads', async () => {
  const driver = await serve((_c, response) => {
    response.end(JSON.stringify({ unpin: [{ iova: '0x15000', npage: 1 }] }));
  });
  await rig.start({ webhookAllow: new URL(driver.url).origin });
  await attached({ url: driver.url });
  expect((await unmap()).status).toBe(200);
});

test('a webhook pending when another call makes a lock cycle: both end, the delivery is given up', async () => {
  let arrived!: () => void;
  const inCallback = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const driver = await serve(async () => arrived());
  await attached({ url: driver.url, timeoutMs: 60_000 });
  await must('POST', '/v1/devices', {
    device: 'd1',
    driver: { type: 'synthetic', onDmaUnmap: 'ignore' },
  });
  await must('POST', '/v1/devices/d1/open-group');
  await must('POST', '/v1/devices/d1/set-container', { container: 'c0' });
  const first = unmap();
  await inCallback;
  const second = rig.http('POST', '/v1/devices/d1/open-device');
  // From inside its callback the driver unpins: it waits for the lock the opener holds, and nobody returns.
  const third = await rig.http('POST', '/v1/devices/d0/unpin-pages', { iova: '0x15000', npage: 1 });
  const ends = [await first, await second, third];
  expect(ends.map(({ body }) => body.errno)).toEqual(['EDEADLK', 'EDEADLK', 'EDEADLK']);
  expect((await rig.http('GET', '/v1/containers/c0/iommu-info')).status).toBe(423);
});

test('a webhook under way when the service closes: the unmap is answered 503', async () => {
  let arrived!: () => void;
  const inCallback = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const driver = await serve(async () => arrived());
  await attached({ url: driver.url, timeoutMs: 60_000 });
  const pending = unmap();
  await inCallback;
  await rig.close();
  expect((await pending).status).toBe(503);
});

test('with journalBodies the journal has what was sent and what came back, also where that counts as nothing', async () => {
  const answers = ['{"unpin": [{"iova": "0x15000", "npage": 1}]}', 'x'.repeat(5000)];
  const driver = await serve((_callback, response) => {
    if (answers.length === 1) response.end(answers.pop());
    else response.writeHead(500).end(answers.pop());
  });
  await attached({ url: driver.url, journalBodies: true });
  expect((await unmap()).body.size).toBe('0x10000');
  const [failed, returned] = (await webhookEvents()).map(({ webhook }) => webhook);
  expect(failed).toMatchObject({ outcome: 'failed', status: 500, answer: 'x'.repeat(4096) });
  expect(returned).toMatchObject({
    outcome: 'returned',
    answer: '{"unpin": [{"iova": "0x15000", "npage": 1}]}',
  });
  expect(returned?.request).toEqual(driver.received[1]?.body);
});

test('without journalBodies it has neither', async () => {
  const driver = await serve((_callback, response) => {
    response.end('{"unpin": [{"iova": "0x15000", "npage": 1}]}');
  });
  await attached({ url: driver.url });
  await unmap();
  const [event] = await webhookEvents();
  expect(Object.keys(event!.webhook).sort()).toEqual(['callback', 'device', 'outcome', 'status', 'url']);
});
