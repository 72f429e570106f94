import { setImmediate as turn } from 'node:timers/promises';
import type { Agent } from 'undici';

/** What an agent is made of, from the inside out. */
const PARTS: readonly (() => Promise<unknown>)[] = [
  () => import('node:http2'),
  () => import('undici/lib/core/errors.js'),
  () => import('undici/lib/core/util.js'),
  () => import('undici/lib/llhttp/constants.js'),
  () => import('undici/lib/core/request.js'),
  () => import('undici/lib/core/connect.js'),
  () => import('undici/lib/dispatcher/client-h1.js'),
  () => import('undici/lib/dispatcher/client-h2.js'),
  () => import('undici/lib/dispatcher/client.js'),
  () => import('undici/lib/dispatcher/pool.js'),
];

/** undici's agent, and no more of undici, a part at a time: others have their turn in between. */
export async function loadAgent(): Promise<typeof Agent> {
  for (const load of PARTS) {
    await load();
    await turn();
  }
  return (await import('undici/lib/dispatcher/agent.js')).default;
}
