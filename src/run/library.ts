import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The library that a program is started with cannot be had; the message says why. */
export class LibraryError extends Error {}

/** A library: where its own sources are below `preload/`, and what it is called. */
interface Library {
  readonly folder: string;
  readonly name: string;
}

/** Where the sources are that every library has. */
const SHARED = 'hooks/';

/** Answers what a program asks of /dev/vfio as a service says. */
const EMULATES: Library = { folder: '', name: 'libvfio-host' };
/** Writes down what it asks, and what the kernel answers. */
const RECORDS: Library = { folder: 'record/', name: 'libvfio-host-record' };

/** How the library is compiled; the image's builder does the same. */
const FLAGS = ['-O2', '-Wall', '-shared', '-fPIC', '-fvisibility=hidden', '-pthread'];
const LIBS = ['-ldl'];

/** Where the sources are: at the top of the package, beside `src` or one folder above what was compiled. */
function sources(within: string): string {
  for (const path of ['../preload/', '../../preload/', '../../../preload/']) {
    const folder = fileURLToPath(new URL(`${path}${within}`, import.meta.url));
    if (existsSync(folder)) return folder;
  }
  throw new LibraryError(`the folder preload/${within} is missing from the package`);
}

/** The library of `run`. */
export function library(): Promise<string> {
  return built(EMULATES, process.env);
}

/** The library of `record`. */
export function recorder(): Promise<string> {
  return built(RECORDS, process.env);
}

/**
 * A library, compiled when it is first needed into the user's cache, under a name made of what it is made of.
 *
 * @throws LibraryError when there is no compiler, or it does not succeed
 */
async function built({ folder: within, name }: Library, env: NodeJS.ProcessEnv): Promise<string> {
  const folder = sources(within);
  const ready = join(folder, `${name}.so`);
  if (existsSync(ready)) return ready;
  const files = [folder, sources(SHARED)].flatMap(sourcesIn);
  const hash = createHash('sha256').update([...FLAGS, ...LIBS, process.arch].join(' '));
  for (const file of files) hash.update(`\0${basename(file)}\0`).update(readFileSync(file));
  const cache = join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'vfio-host');
  const path = join(cache, `${name}-${hash.digest('hex').slice(0, 16)}.so`);
  if (existsSync(path)) return path;
  mkdirSync(cache, { recursive: true });
  // Under another name first: another run may compile at the same time, or this one be interrupted.
  const unfinished = `${path}.${process.pid}`;
  const c = files.filter((file) => file.endsWith('.c'));
  await compile(env.CC || 'cc', [...FLAGS, '-o', unfinished, ...c, ...LIBS]);
  renameSync(unfinished, path);
  return path;
}

/** The C files and headers of a folder, in order. */
function sourcesIn(folder: string): string[] {
  const files = readdirSync(folder).filter((file) => /\.[ch]$/.test(file));
  return files.sort().map((file) => join(folder, file));
}

async function compile(compiler: string, args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(compiler, [...args]);
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') {
      throw new LibraryError(
        `there is no C compiler: run needs "${compiler}" once (Debian: apt-get install gcc libc6-dev), or another one named by CC`,
      );
    }
    throw new LibraryError(
      `"${compiler}" could not compile preload/:\n${stderr || (error as Error).message}`,
    );
  }
}
