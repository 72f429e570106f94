// Tries nginx.conf for real: nginx and instances of vfio-host on loopback, rigs made through nginx, one instance
// killed, and which rigs moved. Prints figures; ends whatever it started. Needs nginx and a built project:
//
//   npm run build && node examples/nginx/try.mjs
//
// NGINX_PROGRAM   the nginx program (default: nginx on the PATH, or /usr/sbin/nginx)
// PORT_BASE       nginx listens there, the instances on the three ports after it (default 19080)
// LOAD_SECONDS    length of each measurement (default 4)
// VFIO_HOST_MAIN  the program (default dist/src/main.js)
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';

const NGINX = process.env.NGINX_PROGRAM ?? (existsSync('/usr/sbin/nginx') ? '/usr/sbin/nginx' : 'nginx');
const MAIN = process.env.VFIO_HOST_MAIN ?? fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const CONF = readFileSync(new URL('./nginx.conf', import.meta.url), 'utf8');
const PORT_BASE = Number(process.env.PORT_BASE ?? 19080);
const LOAD_MS = Number(process.env.LOAD_SECONDS ?? 4) * 1000;
const RIGS = 60;
/** Requests that each rig makes to show that it stays where it is. */
const STICKY_REQUESTS = 50;
const CONNECTIONS = 32;
const NGINX_URL = `http://127.0.0.1:${PORT_BASE}`;

const rigs = Array.from({ length: RIGS }, (_, i) => `rig-${i}`);
const agent = new Agent({ connections: CONNECTIONS });
const folder = mkdtempSync(join(tmpdir(), 'vfio-host-nginx-'));
const running = new Set();

/** Starts a program that ends with this one. */
function start(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.add(child);
  child.gone = once(child, 'exit').finally(() => running.delete(child));
  return child;
}

async function stop(child, signal = 'SIGTERM') {
  child.kill(signal);
  await child.gone;
}

/** Starts instance `n`, from 1; resolves when it listens. */
async function startInstance(n) {
  const child = start(process.execPath, [MAIN, '--host', '127.0.0.1', '--port', String(PORT_BASE + n)]);
  child.address = `127.0.0.1:${PORT_BASE + n}`;
  const lines = createInterface({ input: child.stdout });
  await new Promise((resolve, reject) => {
    // The lines after it must be read as well, or the pipe fills up.
    lines.on('line', (line) => line.includes('ready at') && resolve());
    child.gone.then(() => reject(new Error(`instance ${n} ended before it listened`)), reject);
  });
  return child;
}

/** Starts nginx with nginx.conf, changed only in its addresses and in where it writes. */
async function startNginx(instances) {
  const conf = CONF.replace(/^ *server vfio-host-(\d):8080.*\n/gm, (line, n) =>
    Number(n) <= instances ? line.replace(/vfio-host-\d:8080/, `127.0.0.1:${PORT_BASE + Number(n)}`) : '',
  )
    .replace('listen 8080', `listen 127.0.0.1:${PORT_BASE}`)
    .replace('http {', `http {\n${temporaryPaths()}`);
  writeFileSync(join(folder, 'nginx.conf'), `daemon off;\npid nginx.pid;\n${conf}`);
  const child = start(NGINX, ['-p', folder, '-e', 'stderr', '-c', 'nginx.conf']);
  for (let i = 0; i < 50; i++) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
    const up = await request(`${NGINX_URL}/health`).then(
      (answer) => answer.body.dump(),
      () => false,
    );
    if (up !== false) return child;
    await sleep(100);
  }
  throw new Error('nginx does not answer');
}

function temporaryPaths() {
  const kinds = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return kinds.map((kind) => `  ${kind}_temp_path ${kind};`).join('\n');
}

/** One request through nginx; `by` is the instance that answered in the end, `tried` all that were asked. */
async function ask(rig, method, path, body) {
  const {
    statusCode,
    headers,
    body: answer,
  } = await request(NGINX_URL + path, {
    dispatcher: agent,
    method,
    headers: { 'x-rig': rig, ...(body ? { 'content-type': 'application/json' } : {}) },
    body: body ? JSON.stringify(body) : undefined,
  });
  const text = await answer.text();
  const tried = String(headers['x-served-by']).split(', ');
  return { status: statusCode, body: text === '' ? {} : JSON.parse(text), by: tried.at(-1), tried };
}

async function must(rig, method, path, body) {
  const answer = await ask(rig, method, path, body);
  if (answer.status < 300) return answer;
  throw new Error(`${method} ${path} of ${rig}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

/** A container with one mapping, at an address that tells the rigs apart. */
async function makeRig(rig, i) {
  await must(rig, 'POST', '/v1/reset');
  await must(rig, 'POST', '/v1/containers', { container: 'c0' });
  await must(rig, 'POST', '/v1/devices', {
    device: 'd0',
    driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' },
  });
  await must(rig, 'POST', '/v1/containers/c0/attach', { device: 'd0' });
  await must(rig, 'POST', '/v1/containers/c0/map-dma', mapping(i));
}

const mapping = (i) => ({
  iova: `0x${(0x100000 + i * 0x1000).toString(16)}`,
  vaddr: '0x7f0000000000',
  size: '0x1000',
  flags: ['read', 'write'],
});

/** Whether a rig has exactly the mapping it was made with; and who says so. */
async function look(rig, i) {
  const { status, body, by, tried } = await ask(rig, 'GET', '/v1/containers/c0/mappings');
  const kept = status === 200 && body.mappings.length === 1 && body.mappings[0].iova === mapping(i).iova;
  return { kept, status, by, tried };
}

const placement = async () =>
  new Map(await Promise.all(rigs.map(async (rig, i) => [rig, await look(rig, i)])));

/** "address: rigs" of a placement. */
function counts(placed) {
  const perInstance = new Map();
  for (const { by } of placed.values()) perInstance.set(by, (perInstance.get(by) ?? 0) + 1);
  return [...perInstance]
    .sort()
    .map(([by, n]) => `${by}: ${n}`)
    .join('   ');
}

/** A trace that keeps an instance busy for a while: 200 mappings made and removed again. */
const TRACE = {
  id: 'load',
  kernel: '6.1',
  steps: [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } },
    { call: 'open-group', device: 'd0' },
    { call: 'set-container', device: 'd0', container: 'c0' },
    { call: 'set-iommu', container: 'c0', type: 'type1v2' },
    { call: 'open-device', device: 'd0' },
    ...Array.from({ length: 200 }, (_, i) => ({ call: 'map-dma', container: 'c0', ...mapping(i) })),
    ...Array.from({ length: 200 }, (_, i) => ({
      call: 'unmap-dma',
      container: 'c0',
      iova: mapping(i).iova,
      size: '0x1000',
    })),
  ],
};

const LOADS = {
  'map-dma and unmap-dma in turn': async (rig) => {
    await must(rig, 'POST', '/v1/containers/c0/map-dma', { ...mapping(0), iova: '0x1000' });
    await must(rig, 'POST', '/v1/containers/c0/unmap-dma', { iova: '0x1000', size: '0x1000' });
    return 2;
  },
  'replay of a trace of 406 calls': async (rig) => {
    await must(rig, 'POST', '/v1/replay', TRACE);
    return 1;
  },
};

/** Requests a second, from as many clients as there are connections, each with rigs of its own. */
async function measure(load) {
  const until = performance.now() + LOAD_MS;
  let done = 0;
  const client = async (n) => {
    const own = rigs.filter((_, i) => i % CONNECTIONS === n);
    for (let i = 0; performance.now() < until; i++) {
      const requests = await load(own[i % own.length]);
      done += requests;
    }
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, n) => client(n)));
  return Math.round((done * 1000) / (performance.now() - started));
}

async function measureAll(what) {
  for (const [name, load] of Object.entries(LOADS)) {
    await measure(load);
    console.log(`${what}, ${name}: ${await measure(load)} requests/s`);
  }
}

async function oneInstance() {
  const instance = await startInstance(1);
  const nginx = await startNginx(1);
  await Promise.all(rigs.map(makeRig));
  await measureAll('1 instance ');
  await stop(nginx);
  await stop(instance);
}

async function threeInstances() {
  const instances = [await startInstance(1), await startInstance(2), await startInstance(3)];
  await startNginx(3);
  await Promise.all(rigs.map(makeRig));
  await measureAll('3 instances');

  const before = await placement();
  console.log(`\nrigs per instance        ${counts(before)}`);
  let strayed = 0;
  for (let n = 0; n < STICKY_REQUESTS; n++) {
    for (const [rig, { by, kept }] of await placement()) {
      if (by !== before.get(rig).by || !kept) strayed++;
    }
  }
  console.log(`${RIGS} rigs, ${STICKY_REQUESTS} requests each: ${strayed} answered by another instance`);

  const lost = instances[1];
  await stop(lost, 'SIGKILL');
  const after = await placement();
  const moved = rigs.filter((rig) => after.get(rig).by !== before.get(rig).by);
  const homeless = rigs.filter((rig) => before.get(rig).by === lost.address);
  const others = rigs.filter((rig) => before.get(rig).by !== lost.address);
  console.log(`\n${lost.address} killed`);
  console.log(`rigs per instance        ${counts(after)}`);
  console.log(`rigs it had              ${homeless.length}`);
  console.log(
    `rigs that moved          ${moved.length}, of them its own: ${moved.filter((rig) => homeless.includes(rig)).length}`,
  );
  console.log(`moved ones start empty   ${moved.filter((rig) => after.get(rig).status === 404).length}`);
  console.log(
    `others with their state  ${others.filter((rig) => after.get(rig).kept).length} of ${others.length}`,
  );

  await Promise.all(moved.map((rig) => makeRig(rig, rigs.indexOf(rig))));
  const remade = await placement();
  console.log(
    `made anew and found      ${moved.filter((rig) => remade.get(rig).kept).length} of ${moved.length}`,
  );

  await startInstance(2);
  const since = performance.now();
  let back = 0;
  while (back < homeless.length && performance.now() - since < 30_000) {
    await sleep(500);
    const now = await placement();
    back = homeless.filter((rig) => now.get(rig).by === lost.address).length;
  }
  const end = await placement();
  console.log(`\n${lost.address} started again; after ${((performance.now() - since) / 1000).toFixed(1)} s`);
  console.log(`rigs per instance        ${counts(end)}`);
  console.log(`back on it, empty again  ${homeless.filter((rig) => end.get(rig).status === 404).length}`);
  console.log(
    `others with their state  ${others.filter((rig) => end.get(rig).kept).length} of ${others.length}`,
  );

  const asExpected =
    strayed === 0 &&
    moved.length === homeless.length &&
    moved.every((rig) => homeless.includes(rig) && after.get(rig).status === 404 && remade.get(rig).kept) &&
    others.every((rig) => after.get(rig).kept && end.get(rig).kept) &&
    back === homeless.length;
  console.log(asExpected ? '\nok' : '\nNOT as it must be');
  return asExpected;
}

// However this ends, nothing stays behind.
process.once('exit', () => {
  for (const child of running) child.kill('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

console.log(`${availableParallelism()} cores, load average before the start ${loadavg()[0].toFixed(1)}`);
let ok = false;
try {
  await oneInstance();
  ok = await threeInstances();
} finally {
  await Promise.all([...running].map((child) => stop(child)));
  await agent.close();
}
process.exitCode = ok ? 0 : 1;
