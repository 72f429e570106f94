import { join } from 'node:path';
import { pino } from 'pino';
import { Agent, type Dispatcher, request } from 'undici';
import { buildApp } from '../app.ts';
import { VfioHostClient } from '../client/index.ts';
import { DEFAULT_CONFIG } from '../config.ts';
import type { Step } from '../replay/scenario.ts';
import { Service } from '../service.ts';

/** Where a program's calls go, and how this process reaches it. */
export interface Target {
  /** As the library takes it: `unix:PATH` or `http://HOST:PORT`. */
  readonly url: string;
  /** Rig of the calls; empty: the default one. */
  readonly rig: string;
  readonly client: VfioHostClient;
  /** The console. */
  dmesg(): Promise<string>;
  /** The steps of its trace, and whether that is not all of it. */
  trace(): Promise<{ steps: Step[]; cut: boolean }>;
  close(): Promise<void>;
}

/**
 * A service of this process's own, on a socket in a folder that only this user can enter.
 *
 * @param traceOverflow takes the steps of its trace that are more than it keeps
 */
export async function embedded(
  folder: string,
  kernel: string,
  traceOverflow: (steps: Step[]) => void,
): Promise<Target> {
  const socket = join(folder, 'socket');
  const log = pino({ level: 'silent' });
  const config = {
    ...DEFAULT_CONFIG,
    kernel: kernel as never,
    socket,
    processMemory: 'real' as const,
  };
  const panic = () => undefined;
  const app = await buildApp(new Service(config, { log, panic, traceOverflow }), log);
  await app.listen({ path: socket });
  const agent = new Agent({ connect: { socketPath: socket } });
  const client = new VfioHostClient({ url: 'http://localhost', dispatcher: agent });
  return {
    url: `unix:${socket}`,
    rig: '',
    client,
    dmesg: async () => (await get('http://localhost', '/v1/dmesg', agent, '')).body.text(),
    // What was more than it keeps has gone to traceOverflow.
    trace: async () => ({ ...(await traceOf('http://localhost', agent, '')), cut: false }),
    async close() {
      await agent.destroy();
      app.server.closeAllConnections();
      await app.close();
    },
  };
}

/** A service that runs already; the program has a rig of its own there, which goes with it. */
export async function running(url: string, rig: string, kernel: string | undefined): Promise<Target> {
  const socketPath = url.startsWith('unix:') ? url.slice('unix:'.length) : undefined;
  const agent = new Agent(socketPath === undefined ? {} : { connect: { socketPath } });
  const base = socketPath === undefined ? url.replace(/\/+$/, '') : 'http://localhost';
  const client = new VfioHostClient({ url: base, rig, dispatcher: agent });
  await client.reset(kernel === undefined ? {} : { kernel });
  return {
    url: socketPath === undefined ? base : url,
    rig,
    client,
    dmesg: async () => (await get(base, '/v1/dmesg', agent, rig)).body.text(),
    trace: () => traceOf(base, agent, rig),
    async close() {
      await client.dropRig(rig);
      await agent.destroy();
    },
  };
}

function get(base: string, path: string, dispatcher: Dispatcher, rig: string) {
  return request(`${base}${path}`, { dispatcher, headers: rig === '' ? {} : { 'x-rig': rig } });
}

async function traceOf(base: string, dispatcher: Dispatcher, rig: string) {
  const { body, headers } = await get(base, '/v1/trace', dispatcher, rig);
  const { steps } = (await body.json()) as { steps: Step[] };
  return { steps, cut: headers['x-truncated'] === 'true' };
}
