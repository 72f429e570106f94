import { pino } from 'pino';
import { buildApp } from '../app.ts';
import { parseArguments, UsageError } from '../arguments.ts';
import { DEFAULT_CONFIG } from '../config.ts';
import { VERSIONS_IN_WORDS } from '../kernel/generations/index.ts';
import { Service } from '../service.ts';
import type { Command, Output } from './command.ts';
import { playThread } from './demo-thread.ts';
import { generationNamed } from './usage.ts';

const HELP = `usage: vfio-host demo [--port PORT] [--kernel VERSION]

Plays the thread it began with ("vfio: Replace the DMA unmapping notifier with a callback", July 2022) against a service
of its own: each step with its request, what the kernel answers, and why. Then the service stays, with its page, until
Ctrl-C.

  --port PORT        port of the service (default: a free one)
  --kernel VERSION   one of ${VERSIONS_IN_WORDS} (default ${DEFAULT_CONFIG.kernel})

exit codes: 0 stopped, 1 it cannot serve, 64 bad usage
`;

const PORT = /^(0|[1-9][0-9]{0,4})$/;

/** `vfio-host demo`: the thread, step by step. */
export const demo: Command = {
  help: HELP,
  async run(args, output) {
    const { values } = parseArguments(args, { port: { type: 'string' }, kernel: { type: 'string' } }, false);
    const { port = '0', kernel = DEFAULT_CONFIG.kernel } = values;
    if (!PORT.test(port) || Number(port) > 65_535) {
      throw new UsageError(`--port: "${port}" is not an integer from 0 to 65535`);
    }
    generationNamed(kernel, '--kernel:');
    await play(Number(port), kernel, output);
    return 0;
  },
};

async function play(port: number, kernel: string, { out }: Output): Promise<void> {
  const config = { ...DEFAULT_CONFIG, port, kernel: kernel as typeof DEFAULT_CONFIG.kernel };
  const log = pino({ level: 'silent' });
  const app = await buildApp(new Service(config, { log, panic: () => {} }), log);
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, resolve);
  });
  try {
    const url = await app.listen({ host: config.host, port });
    await playThread(url, kernel, out);
    await stopped;
  } finally {
    await app.close();
  }
}
