#!/usr/bin/env node
import closeWithGrace from 'close-with-grace';
import { pino } from 'pino';
import { buildApp } from './app.ts';
import { compareCommand } from './cli/compare.ts';
import { replayCommand } from './cli/replay.ts';
import { runCommand } from './cli/run.ts';
import { EXIT_PANIC, EXIT_USAGE, UsageError } from './cli/usage.ts';
import { ConfigError, hostLimits, listenOn, readConfig, settingsHelp, shownConfig } from './config.ts';
import { Refused } from './machine/refused.ts';
import { DEFAULT_RIG } from './rig/rigs.ts';
import { Service } from './service.ts';
import { readSeed, SeedError } from './trace-files/seed.ts';
import { TraceError } from './trace-files/traces.ts';
import { VERSION } from './version.ts';

/** How long a stop may take, milliseconds. */
const STOP_MS = 900;
/** After how much of that a connection on which nothing complete has been asked is cut, milliseconds. */
const CUT_MS = 400;

const HELP = `vfio-host ${VERSION}: an emulated Linux VFIO host over HTTP

usage: vfio-host [serve] [settings]
       vfio-host replay TRACE… [--url URL] [--kernel VERSION]
       vfio-host compare TRACE… [--kernels 5.10,6.1,6.12,7.2] [--json]
       vfio-host run [--kernel VERSION] [--device SPEC]… [--no-iommu] [--memlock BYTES] [--trace FILE] [--url URL]
                     [--wedged abort|hang] -- PROGRAM [ARGS…]
       vfio-host --version | --help

replay runs traces on fresh hosts, here or on a running service, and prints what differed from their
expectations; exit code 0: nothing, 1: something, 64: bad usage

compare runs traces on several kernels and prints the steps that differ, with the reasons;
exit code 0: none, 1: some, 64: bad usage

run starts an unmodified program on an emulated /dev/vfio of its own, and says afterwards what it asked for;
SPEC: vfio-pci[:BDF][,key=value…], mdev:DRIVER[,key=value…], or create-device as JSON; exit code: the program's,
64: bad usage, 69: no C compiler, 70: a call would never have returned

settings, each a flag or an environment variable:
${settingsHelp()}
`;

async function serve(args: readonly string[]): Promise<void> {
  const configured = readConfig(args, process.env);
  const { seedFile } = configured;
  const seed = seedFile === '' ? null : readSeed(seedFile, hostLimits(configured));
  const config = seed ? { ...configured, kernel: seed.kernel } : configured;
  // Synchronous: a line about a panic is out before the process ends.
  const log = pino({ level: config.logLevel }, pino.destination({ dest: 1, sync: true }));
  const panic = () => process.exit(EXIT_PANIC);
  const service = new Service(config, { log, panic, ...(seed ? { seed: seed.apply } : {}) });
  if (seed) seedDefaultRig(service, seedFile);
  const app = await buildApp(service, log);
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
  log.info({ config: shownConfig(config), version: VERSION }, 'starting');
  await app.listen({
    ...listenOn(config),
    listenTextResolver: (address) => `ready at ${address}`,
  });
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

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

// A reader that has seen enough (`| head`) is no error of ours: the command goes on to its exit code.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

async function main([first, ...rest]: readonly string[]): Promise<number | null> {
  switch (first) {
    case '--help':
      process.stdout.write(HELP);
      return 0;
    case '--version':
      process.stdout.write(`${VERSION}\n`);
      return 0;
    case 'compare':
      return compareCommand(rest, print);
    case 'replay':
      return replayCommand(rest, print, process.stderr);
    case 'run':
      return runCommand(rest, (line) => process.stderr.write(`${line}\n`));
    case 'serve':
      await serve(rest);
      return null;
    default:
      await serve(first === undefined ? [] : [first, ...rest]);
      return null;
  }
}

main(process.argv.slice(2)).then(
  (code) => {
    if (code !== null) process.exitCode = code;
  },
  (error: Error) => {
    process.stderr.write(`vfio-host: ${error.message}\n`);
    const usage = [ConfigError, UsageError, TraceError, SeedError].some((kind) => error instanceof kind);
    process.exitCode = usage ? EXIT_USAGE : 1;
  },
);
