// A driver under test, in another process than the host it is called by: the webhook driver of story 9.
//
// POST /ROLE?rig=NAME&page=IOVA is its dma_unmap, where IOVA is the page it has pinned. The first line it
// prints is its URL. Ends on SIGTERM.
//
// VFIO_HOST_URL  the vfio-host that calls it (default http://127.0.0.1:8080)
// DRIVER_HOST    the name under which that finds this machine (default 127.0.0.1); with any other name it
//                listens on every address, because a container does not reach this machine's loopback
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const HOST_URL = process.env.VFIO_HOST_URL ?? 'http://127.0.0.1:8080';
const DRIVER_HOST = process.env.DRIVER_HOST ?? '127.0.0.1';
/** How long the slow role takes, milliseconds. */
const SLOW_MS = 1500;

/** Pages released already, as "rig device page": a driver keeps account of its own pins. */
const released = new Set();

/** vfio_unpin_pages(), if the page is in the range and still pinned. */
async function release({ device, iova, length }, rig, page) {
  const key = `${rig} ${device} ${page}`;
  const start = BigInt(iova);
  const inRange = BigInt(page) >= start && BigInt(page) < start + BigInt(length);
  if (!inRange || released.has(key)) return;
  released.add(key);
  const response = await fetch(`${HOST_URL}/v1/devices/${device}/unpin-pages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-rig': rig },
    body: JSON.stringify({ iova: page, npage: 1 }),
  });
  if (!response.ok) throw new Error(`unpin-pages: ${response.status} ${await response.text()}`);
}

const ROLES = {
  right: release,
  wrong: async () => {},
  slow: async (callback, rig, page) => {
    await sleep(SLOW_MS);
    await release(callback, rig, page);
  },
};

const server = createServer(async (request, response) => {
  try {
    let text = '';
    for await (const chunk of request) text += chunk;
    const url = new URL(request.url, HOST_URL);
    const role = ROLES[url.pathname.slice(1)];
    await role?.(JSON.parse(text), url.searchParams.get('rig'), url.searchParams.get('page'));
    response.writeHead(role ? 204 : 404).end();
  } catch (error) {
    console.error(error);
    response.writeHead(500).end();
  }
});
server.listen(0, DRIVER_HOST === '127.0.0.1' ? '127.0.0.1' : undefined, () => {
  console.log(`http://${DRIVER_HOST}:${server.address().port}`);
});
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
