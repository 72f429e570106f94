// A mediated device's driver in a process of its own: `node driver.mjs [ANSWER]`. No dependencies.
//
//   POST /map {"device", "iova"}                 its guest wants a page: the driver pins it, once
//   POST /    {"call", "device", "iova", "length", …}   vfio-host calls its dma_unmap
//
// The first line it prints is its URL, for the device's {"type": "webhook", "url": …}. Ends on SIGTERM.
// VFIO_HOST_URL: the vfio-host that calls it (default http://127.0.0.1:8080); RIG: its rig there (default "default").
import { createServer } from 'node:http';

const HOST_URL = process.env.VFIO_HOST_URL ?? 'http://127.0.0.1:8080';
const RIG = process.env.RIG ?? 'default';
const PAGE = 4096n;

/** What the driver holds: the addresses of its pinned pages, by device. */
const pinned = new Map();
const pagesOf = (device) => pinned.get(device) ?? pinned.set(device, new Set()).get(device);

/** Four answers to "the range [start, end) is going away": the pages to unpin. Only the first is right. */
const ANSWERS = {
  // As GVT-g: every page it holds in the range, wherever in the range it lies.
  walk: (pages, start, end) => [...pages].filter((page) => page >= start && page < end),

  // As vfio-ccw was posted: looks whether it holds the first page, and only then lets everything go.
  'first-page': (pages, start) => (pages.has(start) ? [...pages] : []),

  // As vfio-ap up to 6.1: unpins one page at the start, whether it holds that page or not.
  'one-page': (_pages, start) => [start],

  // As a driver that has a dma_unmap and nothing in it.
  nothing: () => [],
};

const answer = ANSWERS[process.argv[2] ?? 'walk'];
if (!answer) {
  console.error(`usage: node driver.mjs [${Object.keys(ANSWERS).join(' | ')}]`);
  process.exit(2);
}

/** dma_unmap: what it returns is unpinned before vfio-host takes the callback as returned. */
function dmaUnmap({ device, iova, length }) {
  const pages = pagesOf(device);
  const start = BigInt(iova);
  const going = answer(pages, start, start + BigInt(length));
  for (const page of going) pages.delete(page);
  return { unpin: going.map((page) => ({ iova: hex(page), npage: 1 })) };
}

/** vfio_pin_pages. */
async function map({ device, iova }) {
  const page = BigInt(iova) & ~(PAGE - 1n);
  if (!pagesOf(device).has(page)) {
    const response = await fetch(`${HOST_URL}/v1/devices/${device}/pin-pages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-rig': RIG },
      body: JSON.stringify({ iova: hex(page), npage: 1, prot: ['read', 'write'] }),
    });
    if (!response.ok) throw new Error(`pin-pages: ${response.status} ${await response.text()}`);
    pagesOf(device).add(page);
  }
  return { device, pinned: [...pagesOf(device)].map(hex) };
}

const hex = (address) => `0x${address.toString(16)}`;

const ROUTES = { '/': dmaUnmap, '/map': map };
const server = createServer(async (request, response) => {
  let status = 200;
  let body;
  try {
    let text = '';
    for await (const chunk of request) text += chunk;
    const route = ROUTES[request.url];
    if (route) body = await route(JSON.parse(text));
    else status = 404;
  } catch (error) {
    status = 500;
    body = { error: error.message };
  }
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body ?? {}));
});
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
process.once('SIGTERM', () => {
  server.close();
  server.closeAllConnections();
});
