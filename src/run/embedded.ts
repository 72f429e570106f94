import { join } from 'node:path';
import { pino } from 'pino';
import { Agent, type Dispatcher, request } from 'undici';
import { buildApp } from '../app.ts';
import { VfioHostClient } from '../client/index.ts';
import { DEFAULT_CONFIG } from '../config.ts';
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
  close(): Promise<void>;
}

/** Steps of the trace that an embedded service keeps. */
const TRACE_STEPS = 1_000_000;

/** A service of this process's own, on a socket in a folder that only this user can enter. */
export async function embedded(folder: string, kernel: string): Promise<Target> {
  const socket = join(folder, 'socket');
  const log = pino({ level: 'silent' });
  const config = {
    ...DEFAULT_CONFIG,
    kernel: kernel as never,
    socket,
    processMemory: 'real' as const,
    maxTrace: TRACE_STEPS,
  };
  const panic = () => undefined;
  const app = await buildApp(new Service(config, { log, panic }), log);
  await app.listen({ path: socket });
  const agent = new Agent({ connect: { socketPath: socket } });
  const client = new VfioHostClient({ url: 'http://localhost', dispatcher: agent });
  return {
    url: `unix:${socket}`,
    rig: '',
    client,
    dmesg: () => textOf('http://localhost', agent, ''),
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
    dmesg: () => textOf(base, agent, rig),
    async close() {
      await client.dropRig(rig);
      await agent.destroy();
    },
  };
}

async function textOf(base: string, dispatcher: Dispatcher, rig: string): Promise<string> {
  const { body } = await request(`${base}/v1/dmesg`, {
    dispatcher,
    headers: rig === '' ? {} : { 'x-rig': rig },
  });
  return body.text();
}
