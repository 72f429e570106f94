import { parseArgs } from 'node:util';
import { LibraryError } from '../run/library.ts';
import { run } from '../run/run.ts';
import { parseDevices } from '../run/spec.ts';
import { generationNamed, UsageError } from './usage.ts';

/** Exit code where the command itself could not do its work (EX_UNAVAILABLE). */
const EXIT_UNAVAILABLE = 69;

const OPTIONS = {
  kernel: { type: 'string' },
  device: { type: 'string', multiple: true },
  'no-iommu': { type: 'boolean' },
  memlock: { type: 'string' },
  trace: { type: 'string' },
  url: { type: 'string' },
  wedged: { type: 'string' },
} as const;

/**
 * `vfio-host run [--kernel V] [--device SPEC]… [--no-iommu] [--memlock BYTES] [--trace FILE] [--url URL]
 * [--wedged abort|hang] -- PROGRAM [ARGS…]`: runs an unmodified program on the emulated /dev/vfio.
 *
 * @returns the program's exit code
 */
export async function runCommand(args: readonly string[], err: (line: string) => void): Promise<number> {
  const end = args.indexOf('--');
  const program = end < 0 ? [] : args.slice(end + 1);
  if (program.length === 0) throw new UsageError('run needs a program: run [options] -- PROGRAM [ARGS…]');
  const values = parse(args.slice(0, end));
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

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
