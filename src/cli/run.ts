import { parseArguments, UsageError } from '../arguments.ts';
import { VERSIONS_IN_WORDS } from '../kernel/generations/index.ts';
import { LibraryError } from '../run/library.ts';
import { run } from '../run/run.ts';
import { parseDevices } from '../run/spec.ts';
import type { Command } from './command.ts';
import { EXIT_UNAVAILABLE } from './exit.ts';
import { generationNamed } from './usage.ts';

const OPTIONS = {
  kernel: { type: 'string' },
  device: { type: 'string', multiple: true },
  'no-iommu': { type: 'boolean' },
  memlock: { type: 'string' },
  trace: { type: 'string' },
  url: { type: 'string' },
  wedged: { type: 'string' },
} as const;

const HELP = `usage: vfio-host run [--kernel VERSION] [--device SPEC]… [--no-iommu] [--memlock BYTES] [--trace FILE]
                     [--url URL] [--wedged abort|hang] -- PROGRAM [ARGS…]

Runs an unmodified program on an emulated /dev/vfio of its own, and says afterwards what it asked for.

  --kernel VERSION      the kernel to answer as: ${VERSIONS_IN_WORDS} (default 6.1)
  --device SPEC         a device it finds, as often as there are devices; SPEC is one of
                          vfio-pci[:BDF][,iommu=…,group=gN,id=VVVV:DDDD,bar0=SIZE,msi=N]
                          mdev:DRIVER[,device=NAME,group=gN][,key=value…], keys of the driver: mdev:synthetic,onDmaUnmap=ignore
                          the arguments of create-device, as JSON
  --no-iommu            devices of vfio-pci are without an IOMMU
  --memlock BYTES       RLIMIT_MEMLOCK of the program (default: without limit)
  --trace FILE          where its calls are written, for replay and compare
  --url URL             a service that runs already, in place of one of its own: unix:PATH or http://HOST:PORT
  --wedged abort|hang   what a call does that would never return: ends the program with code 70, or hangs (default abort)

exit codes: the program's, 64 bad usage, 69 no C compiler, or FILE cannot be written,
            70 a call would never have returned
`;

/** `vfio-host run … -- PROGRAM [ARGS…]`: an unmodified program on the emulated /dev/vfio. */
export const runUnmodified: Command = {
  help: HELP,
  run: (args, { err }) => runCommand(args, err),
};

/**
 * Runs a program.
 *
 * @returns its exit code
 */
async function runCommand(args: readonly string[], err: (line: string) => void): Promise<number> {
  const end = args.indexOf('--');
  const program = end < 0 ? [] : args.slice(end + 1);
  if (program.length === 0) throw new UsageError('run needs a program: run [options] -- PROGRAM [ARGS…]');
  const { values } = parseArguments(args.slice(0, end), OPTIONS, false);
  const { kernel, url, wedged = 'abort', memlock } = values;
  if (kernel !== undefined) generationNamed(kernel, '--kernel:');
  if (url !== undefined && !/^(unix:|http:\/\/)./.test(url)) {
    throw new UsageError(`--url: "${url}" is not unix:PATH or http://HOST:PORT`);
  }
  if (wedged !== 'abort' && wedged !== 'hang') {
    throw new UsageError(`--wedged: "${wedged}" is not "abort" or "hang"`);
  }
  if (memlock !== undefined && !/^[0-9]{1,15}$/.test(memlock)) {
    throw new UsageError(`--memlock: "${memlock}" is not a number of bytes`);
  }
  const noIommu = values['no-iommu'] ?? false;
  try {
    return await run(
      {
        kernel,
        devices: parseDevices(values.device ?? [], noIommu),
        noIommu,
        memlock: memlock === undefined ? undefined : Number(memlock),
        trace: values.trace,
        url,
        wedged,
        program,
      },
      (line) => err(line.startsWith(' ') ? line : `vfio-host: ${line}`),
    );
  } catch (error) {
    if (!(error instanceof LibraryError)) throw error;
    err(`vfio-host: ${error.message}`);
    return EXIT_UNAVAILABLE;
  }
}
