import { parseArguments, UsageError } from '../arguments.ts';
import { KERNEL_VERSIONS } from '../kernel/generations/index.ts';
import { record } from '../record/record.ts';
import { LibraryError } from '../run/library.ts';
import type { Command } from './command.ts';
import { EXIT_UNAVAILABLE } from './exit.ts';
import { refuseUnwritable } from './unwritable.ts';
import { generationNamed } from './usage.ts';

/** Where the trace goes unless somebody says otherwise. */
const TRACE = 'vfio-host-trace.json';

const HELP = `usage: vfio-host record [--trace FILE] [--kernel VERSION] -- PROGRAM [ARGS…]

Runs a program on the /dev/vfio of this machine itself, and writes down what it asks for and what the kernel answers, as
a trace: vfio-host replay shows where the emulated kernel answers otherwise, compare what other kernels answer. No service
is needed. Calls on devices (regions, interrupts, reset) have no place in a trace; a driver's pins cannot be seen from
outside; files that a program hands on by exec or by messages are not followed. What is left out is said on stderr.

  --trace FILE       where the trace goes (default ${TRACE})
  --kernel VERSION   the kernel that the trace is said to be of: one of ${KERNEL_VERSIONS.join(', ')}
                     (default: the one nearest to this machine's)

exit codes: the program's, 64 bad usage, 69 no C compiler, or FILE cannot be written
`;

/** `vfio-host record … -- PROGRAM [ARGS…]`: what a program asks of the real /dev/vfio, as a trace. */
export const recordProgram: Command = {
  help: HELP,
  async run(args, { err }) {
    const end = args.indexOf('--');
    const program = end < 0 ? [] : args.slice(end + 1);
    if (program.length === 0)
      throw new UsageError('record needs a program: record [options] -- PROGRAM [ARGS…]');
    const options = { trace: { type: 'string' }, kernel: { type: 'string' } } as const;
    const { values } = parseArguments(args.slice(0, end), options, false);
    const { trace = TRACE, kernel } = values;
    if (kernel !== undefined) generationNamed(kernel, '--kernel:');
    refuseUnwritable('--trace', trace);
    try {
      return await record({ trace, kernel, program }, (line) => err(`vfio-host: ${line}`));
    } catch (error) {
      if (!(error instanceof LibraryError)) throw error;
      err(`vfio-host: ${error.message}`);
      return EXIT_UNAVAILABLE;
    }
  },
};
