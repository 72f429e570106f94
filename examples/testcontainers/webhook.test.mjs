// A driver under test in this process, called by a vfio-host in a container. Needs docker; or, with VFIO_HOST_URL,
// a vfio-host that runs on this machine already, and no container at all.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const PORT = 8080;
const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url));

/** Where vfio-host is, and by which name it reaches this process. */
let host;
/** This process's driver: callbacks received, and what is done about them. */
let driver;

before(async () => {
  driver = await startDriver();
  host = await startHost();
});

after(async () => {
  await host?.stop();
  driver?.server.close();
  driver?.server.closeAllConnections();
});

async function startHost() {
  const { VFIO_HOST_URL, VFIO_HOST_IMAGE } = process.env;
  if (VFIO_HOST_URL) return { url: VFIO_HOST_URL, driverName: '127.0.0.1', stop: async () => {} };
  const { GenericContainer, Wait } = await import('testcontainers');
  const container = VFIO_HOST_IMAGE
    ? new GenericContainer(VFIO_HOST_IMAGE)
    : await GenericContainer.fromDockerfile(REPOSITORY).build('vfio-host:local', { deleteOnExit: false });
  const started = await container
    .withExposedPorts(PORT)
    // Docker Desktop knows the name by itself, docker on Linux needs to be told. Where a firewall keeps containers
    // from the machine's ports: `await TestContainers.exposeHostPorts(port)` tunnels, and the name is then
    // host.testcontainers.internal.
    .withExtraHosts([{ host: 'host.docker.internal', ipAddress: 'host-gateway' }])
    .withWaitStrategy(Wait.forHttp('/health', PORT).forStatusCode(200))
    .withStartupTimeout(60_000)
    .start();
  return {
    url: `http://${started.getHost()}:${started.getMappedPort(PORT)}`,
    driverName: 'host.docker.internal',
    stop: () => started.stop(),
  };
}

/** Listens on every address: a container does not reach this machine's loopback. */
async function startDriver() {
  const callbacks = [];
  const state = { callbacks, answer: () => ({}) };
  state.server = createServer(async (request, response) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    callbacks.push(JSON.parse(text));
    const answer = await state.answer(callbacks.at(-1));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  state.server.listen(0);
  await once(state.server, 'listening');
  return state;
}

/** A call in the rig of one test. */
function caller(rig) {
  return async (path, body = {}) => {
    const response = await fetch(`${host.url}${path}`, {
      method: 'POST',
      headers: { 'x-rig': rig, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
  };
}

/** A mapping of 16 pages, with the sixth pinned by our driver. */
async function pinned(call) {
  const { port } = driver.server.address();
  const url = `http://${host.driverName}:${port}/`;
  driver.callbacks.length = 0;
  await call('/v1/reset');
  await call('/v1/containers', { container: 'c0' });
  await call('/v1/devices', { device: 'd0', driver: { type: 'webhook', url, timeoutMs: 2000 } });
  await call('/v1/containers/c0/attach', { device: 'd0' });
  const mapping = { iova: '0x10000', vaddr: '0x10000', size: '0x10000', flags: ['read', 'write'] };
  await call('/v1/containers/c0/map-dma', mapping);
  const { status } = await call('/v1/devices/d0/pin-pages', {
    iova: '0x15000',
    npage: 1,
    prot: ['read', 'write'],
  });
  assert.equal(status, 200);
}

test('a driver that unpins inside its callback is called once', async () => {
  const call = caller('right');
  await pinned(call);
  driver.answer = async ({ iova, length }) => {
    assert.deepEqual([iova, length], ['0x10000', '0x10000']);
    await call('/v1/devices/d0/unpin-pages', { iova: '0x15000', npage: 1 });
    return {};
  };
  const { status, body } = await call('/v1/containers/c0/unmap-dma', { iova: '0x10000', size: '0x10000' });
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(driver.callbacks.length, 1);
});

test('a driver that forgets its pin is called eleven times, and the caller is dead', async () => {
  const call = caller('wrong');
  await pinned(call);
  driver.answer = () => ({});
  const { status, body } = await call('/v1/containers/c0/unmap-dma', { iova: '0x10000', size: '0x10000' });
  assert.equal(status, 409);
  assert.equal(body.killed, true);
  assert.deepEqual(
    driver.callbacks.map(({ attempt }) => attempt),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  );
});
