#!/usr/bin/env node
import closeWithGrace from 'close-with-grace';
import { pino } from 'pino';
import { buildApp } from './app.ts';
import { ConfigError, readConfig, settingsHelp } from './config.ts';
import { Service } from './service.ts';
import { VERSION } from './version.ts';

/** Exit code of a bad command line or environment. */
const EXIT_USAGE = 64;
/** Exit code of an emulated kernel panic (EX_SOFTWARE). */
const EXIT_PANIC = 70;
/** How long a stop may take, milliseconds. */
const STOP_MS = 900;

const HELP = `vfio-host ${VERSION}: an emulated Linux VFIO host over HTTP

usage: vfio-host [settings]
       vfio-host --version | --help

settings, each a flag or an environment variable:
${settingsHelp()}
`;

async function serve(args: readonly string[]): Promise<void> {
  const config = readConfig(args, process.env);
  // Synchronous: a line about a panic is out before the process ends.
  const log = pino({ level: config.logLevel }, pino.destination({ dest: 1, sync: true }));
  const service = new Service(config, log, () => process.exit(EXIT_PANIC));
  const app = await buildApp(service, log);
  closeWithGrace({ delay: STOP_MS, logger: false }, async ({ err, signal }) => {
    if (err) log.fatal({ err }, 'stopping: the service itself failed');
    else log.info({ signal }, 'stopping');
    await app.close();
  });
  log.info({ config, version: VERSION }, 'starting');
  await app.listen({
    host: config.host,
    port: config.port,
    listenTextResolver: (address) => `ready at ${address}`,
  });
}

const args = process.argv.slice(2);
if (args.includes('--help')) {
  process.stdout.write(HELP);
} else if (args.includes('--version')) {
  process.stdout.write(`${VERSION}\n`);
} else {
  serve(args).catch((error: Error) => {
    process.stderr.write(`vfio-host: ${error.message}\n`);
    process.exitCode = error instanceof ConfigError ? EXIT_USAGE : 1;
  });
}
