import { rmSync, writeSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import closeWithGrace from 'close-with-grace';
import type { FastifyInstance } from 'fastify';
import { type Logger, pino } from 'pino';
import { buildApp } from '../app.ts';
import { type Config, hostLimits, listenOn, readConfig, settingsHelp, shownConfig } from '../config.ts';
import { Refused } from '../machine/refused.ts';
import { DEFAULT_RIG } from '../rig/rigs.ts';
import { Service } from '../service.ts';
import { readSeed, SeedError } from '../trace-files/seed.ts';
import { VERSION } from '../version.ts';
import { writeWhole } from '../whole-file.ts';
import type { Command } from './command.ts';
import { EXIT_PANIC } from './exit.ts';
import { LogOutput } from './log-output.ts';
import { prettyStream } from './pretty.ts';

const STDOUT = 1;
const STDERR = 2;

/** How long the process waits at its end for the reader of its log, milliseconds; and where it says why it panicked. */
const LAST_LINES_MS = 50;
const PANIC_LINE_MS = 1000;

/** How long a stop may take, milliseconds. */
const STOP_MS = 900;
/** After how much of that a connection on which nothing complete has been asked is cut, milliseconds. */
const CUT_MS = 400;

const HELP = `usage: vfio-host [serve] [settings]

Serves until SIGTERM or SIGINT. What happens is logged on stdout: in lines to read on a terminal, as JSON objects, one
a line, anywhere else. With port 0 a line of its own says the port that was taken ({"port": …}), and --port-file has it:
the file is written when the service listens, and removed when it stops.

exit codes: 0 stopped, 1 it cannot serve, 64 bad usage, 70 the emulated kernel panicked

settings, each a flag or an environment variable:
${settingsHelp()}
`;

/** `vfio-host serve [settings]`: the service. */
export const serve: Command = {
  help: HELP,
  async run(args) {
    const configured = readConfig(args, process.env);
    const { seedFile } = configured;
    const seed = seedFile === '' ? null : readSeed(seedFile, hostLimits(configured), configured.kernel);
    const config = seed ? { ...configured, kernel: seed.kernel } : configured;
    const output = new LogOutput(STDOUT, config.logBytes);
    const log = logger(config, output);
    process.on('exit', () => output.flush(LAST_LINES_MS));
    const service = new Service(config, {
      log,
      panic: (reason) => panic(output, reason),
      linesDropped: () => output.dropped,
      ...(seed ? { seed: seed.apply } : {}),
    });
    if (seed) seedDefaultRig(service, seedFile);
    const app = await buildApp(service, log);
    stopWithGrace(app, log);
    log.info({ config: shownConfig(config), version: VERSION }, 'starting');
    await app.listen({ ...listenOn(config), listenTextResolver: (address) => `ready at ${address}` });
    await sayPort(app, log, config);
    return null;
  },
};

function logger({ logLevel }: Config, output: LogOutput): Logger {
  // Node makes a pipe that is its standard output one that does not block when this is first looked at.
  const { isTTY } = process.stdout;
  return pino({ level: logLevel }, isTTY ? prettyStream(output) : output);
}

/** Ends the process. The line that says why is out, be it where errors are told: nobody may read the log. */
function panic(output: LogOutput, reason: string): never {
  if (!output.flush(PANIC_LINE_MS)) {
    try {
      writeSync(STDERR, `vfio-host: Kernel panic - not syncing: ${reason}\n`);
    } catch {
      // Nobody reads that either.
    }
  }
  process.exit(EXIT_PANIC);
}

function stopWithGrace(app: FastifyInstance, log: Logger): void {
  // A promise without an owner is a fault of ours, and no reason to end the work of others.
  process.on('unhandledRejection', (error) =>
    log.error({ err: error }, 'a promise was rejected that nobody awaits'),
  );
  // Not at the normal end of the process: its exit code is its own.
  closeWithGrace(
    { delay: STOP_MS, logger: false, skip: ['beforeExit', 'unhandledRejection'] },
    async ({ err, signal }) => {
      if (err) log.fatal({ err }, 'stopping: the service itself failed');
      else log.info({ signal }, 'stopping');
      const cut = setTimeout(() => app.server.closeAllConnections(), CUT_MS);
      await app.close();
      clearTimeout(cut);
    },
  );
}

/** Says the port where nobody could know it before, and writes it into the file for it. */
async function sayPort(app: FastifyInstance, log: Logger, { port: asked, portFile }: Config): Promise<void> {
  const address = app.server.address();
  // A socket of the file system has none.
  if (address === null || typeof address === 'string') return;
  const { port } = address satisfies AddressInfo;
  if (portFile !== '') await writePort(app, port, portFile);
  if (asked === 0) log.info({ port }, `port ${port}`);
}

async function writePort(app: FastifyInstance, port: number, file: string): Promise<void> {
  try {
    writeWhole(file, `${port}\n`);
  } catch (error) {
    await app.close();
    throw new Error(`--port-file: ${(error as Error).message}`);
  }
  app.server.once('close', () => rmSync(file, { force: true }));
}

/** Makes the default rig now: /ready answers once its seed is loaded. */
function seedDefaultRig(service: Service, file: string): void {
  try {
    service.rigs.use(DEFAULT_RIG);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new SeedError(`${file}: ${error.message}`);
  }
}
