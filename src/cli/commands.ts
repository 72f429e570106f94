import { didYouMean, UsageError } from '../arguments.ts';
import { VERSION } from '../version.ts';
import type { Command, Output } from './command.ts';

/** A command by its name; it is loaded when it is wanted. */
interface Entry {
  readonly summary: string;
  load(): Promise<Command>;
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: {
    summary: 'the service; it is what is done where no command is named',
    load: async () => (await import('./serve.ts')).serve,
  },
  demo: {
    summary: 'plays the thread it began with against a service of its own, and explains each step',
    load: async () => (await import('./demo.ts')).demo,
  },
  replay: {
    summary: 'runs traces, here or on a service, and prints what differs from their expectations',
    load: async () => (await import('./replay.ts')).replayTraces,
  },
  compare: {
    summary: 'runs traces on several kernels and prints the steps that differ, with the reasons',
    load: async () => (await import('./compare.ts')).compareTraces,
  },
  verdict: {
    summary: 'says whether a rig of a service, or a trace, has come to what it should',
    load: async () => (await import('./verdict.ts')).verdict,
  },
  explore: {
    summary:
      'tries every sequence of calls on some drivers, and prints the shortest trace to what goes wrong',
    load: async () => (await import('./explore.ts')).explore,
  },
  fuzz: {
    summary: 'calls at random where there is too much to try everything, and shrinks what it finds',
    load: async () => (await import('./fuzz.ts')).fuzz,
  },
  minimize: {
    summary: 'shrinks a trace to a shortest one that still comes to the same splat, deadlock or advisory',
    load: async () => (await import('./minimize.ts')).minimizeTrace,
  },
  run: {
    summary: 'runs an unmodified program on an emulated /dev/vfio of its own',
    load: async () => (await import('./run.ts')).runUnmodified,
  },
  record: {
    summary: "writes down what a program asks of this machine's own /dev/vfio, and its answers, as a trace",
    load: async () => (await import('./record.ts')).recordProgram,
  },
};

const HELP = new Set(['-h', '--help']);

const overview = () => `vfio-host ${VERSION}: an emulated Linux VFIO host over HTTP

usage: vfio-host [settings]            the same as vfio-host serve
       vfio-host COMMAND [arguments]
       vfio-host help [COMMAND]        also -h and --help, after a command too
       vfio-host --version             also -v

commands:
${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(9)} ${summary}`)
  .join('\n')}

exit codes: 0 done, 1 something differs or went wrong, 2 a service does not answer, 64 bad usage
`;

/**
 * Does what a command line says.
 *
 * @param args without the program
 * @returns its exit code; null: a service has been started and goes on
 */
export async function dispatch(args: readonly string[], output: Output): Promise<number | null> {
  const [first, ...rest] = args;
  if (first === undefined) return (await named('serve')).run([], output);
  if (first === '--version' || first === '-v') {
    output.out(VERSION);
    return 0;
  }
  if (first === 'help' || HELP.has(first)) return help(rest, output);
  const command = first.startsWith('-') ? 'serve' : first;
  const given = command === first ? rest : args;
  const { help: text, run } = await named(command);
  // What stands after -- is somebody else's.
  const end = given.indexOf('--');
  if ((end < 0 ? given : given.slice(0, end)).some((arg) => HELP.has(arg))) {
    output.out(text.trimEnd());
    return 0;
  }
  return run(given, output);
}

async function help([name, ...more]: readonly string[], output: Output): Promise<number> {
  if (more.length > 0) throw new UsageError(`help is of one command, not of "${[name, ...more].join(' ')}"`);
  const of = name === undefined ? null : await named(name);
  // Whoever asks in general is told the settings as well: they are what most come for.
  output.out((of ? of.help : `${overview()}\n${(await named('serve')).help}`).trimEnd());
  return 0;
}

function named(name: string): Promise<Command> {
  const names = Object.keys(COMMANDS);
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (entry) return entry.load();
  const hint = didYouMean(name, [...names, 'help']) || `: there are ${names.join(', ')}`;
  throw new UsageError(`"${name}" is no command${hint} (vfio-host help)`);
}
