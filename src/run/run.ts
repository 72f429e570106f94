import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { DEFAULT_VERSION } from '../kernel/generations/index.ts';
import { accountLines, findings, readAccount } from './account.ts';
import { runProgram, untilSignalled } from './child.ts';
import { embedded, running, type Target } from './embedded.ts';
import { closeLeftovers, type Leftovers, untilNobodyHas } from './leftovers.ts';
import { library } from './library.ts';
import type { DeviceSpec } from './spec.ts';
import { makeFolder, type ShownDevice } from './sysfs.ts';
import { TraceFile } from './trace-file.ts';

/** What a program is run with. */
export interface RunOptions {
  readonly kernel: string | undefined;
  readonly devices: readonly DeviceSpec[];
  readonly noIommu: boolean;
  /** RLIMIT_MEMLOCK in bytes; undefined: none holds. */
  readonly memlock: number | undefined;
  /** File for the trace. */
  readonly trace: string | undefined;
  /** A service that runs already; undefined: one of this process's own. */
  readonly url: string | undefined;
  readonly wedged: 'abort' | 'hang';
  readonly program: readonly string[];
}

/** A run that is ready: its devices exist, and a program that is started with `env` sees them. */
export interface Prepared {
  readonly target: Target;
  readonly env: NodeJS.ProcessEnv;
  /** The folder of the run: what stands in for /sys and /dev/vfio, and the library's account. */
  readonly folder: string;
  /** Ends the trace, where one was asked for; says what is in it. */
  endTrace(): Promise<string | null>;
  /** Waits until nobody has files of the run open, or it is `enough`, and closes what was left open; says what. */
  settle(say: (line: string) => void, enough?: AbortSignal): Promise<Leftovers>;
  /** Ends the run: nothing of it is left. */
  close(): Promise<void>;
}

/** Makes a service (or a rig of one that runs), devices and their folder for programs that are to be run. */
export async function prepare(options: RunOptions): Promise<Prepared> {
  const preload = await library();
  const folder = mkdtempSync(join(tmpdir(), 'vfio-host-'));
  const name = basename(folder);
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  let target: Target;
  let trace: TraceFile | undefined;
  try {
    target = await (options.url === undefined
      ? embedded(folder, options.kernel ?? DEFAULT_VERSION, (steps) => trace?.add(steps))
      : running(options.url, name.toLowerCase(), options.kernel));
  } catch (error) {
    removeFolder();
    throw error;
  }
  const close = async () => {
    await target.close();
    removeFolder();
  };
  try {
    if (options.trace !== undefined) {
      const { kernel } = (await target.client.request('GET', '/v1')) as { kernel: string };
      trace = new TraceFile(options.trace, basename(options.program[0] ?? 'trace'), kernel);
    }
    await makeDevices(target, folder, options);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    target,
    folder,
    env: environment(target, folder, preload, options),
    async settle(say, enough = new AbortController().signal) {
      const tell = (pids: readonly number[]) =>
        say(`waiting for process ${pids.join(', ')}, which has files of the run open`);
      await untilNobodyHas(name, tell, enough);
      return closeLeftovers(target.client);
    },
    async endTrace() {
      if (!trace) return null;
      const { steps, cut } = await target.trace();
      trace.add(steps);
      return trace.end(cut);
    },
    close,
  };
}

/**
 * Runs a program on the emulated /dev/vfio and says afterwards what it asked for and what came of it.
 *
 * @param say takes the lines of the account
 * @returns the program's exit code
 */
export async function run(options: RunOptions, say: (line: string) => void): Promise<number> {
  const prepared = await prepare(options);
  try {
    const { target, folder, env } = prepared;
    const ended = await runProgram(options.program, env);
    const { closed, stuck } = await untilSignalled((enough) => prepared.settle(say, enough));
    const { kernel } = await target.client.request('GET', '/v1');
    say(`${options.program[0]} on ${kernel}: ${ended.how}`);
    for (const line of accountLines(readAccount(join(folder, 'account')))) say(line);
    for (const line of await findings(target)) say(line);
    if (closed.length > 0) say(`closed after its end: ${closed.join(', ')}`);
    for (const what of stuck) say(`never closed: ${what}`);
    const trace = await prepared.endTrace();
    if (trace !== null) say(trace);
    return ended.code;
  } finally {
    await prepared.close();
  }
}

async function makeDevices(target: Target, folder: string, { noIommu, devices }: RunOptions): Promise<void> {
  if (noIommu) {
    await target.client.request('POST', '/v1/set-parameters', { body: { enableUnsafeNoiommuMode: true } });
  }
  const shown: ShownDevice[] = [];
  for (const device of devices) shown.push(await makeDevice(target, device));
  makeFolder(folder, shown);
}

/** What the library is told, and that it is to be loaded. */
function environment(
  { url, rig }: Target,
  folder: string,
  preload: string,
  { memlock, wedged }: RunOptions,
): NodeJS.ProcessEnv {
  const others = process.env.LD_PRELOAD;
  return {
    ...process.env,
    LD_PRELOAD: others ? `${preload} ${others}` : preload,
    VFIO_HOST_URL: url,
    VFIO_HOST_RIG: rig,
    VFIO_HOST_ROOT: folder,
    VFIO_HOST_WEDGED: wedged,
    ...(memlock === undefined ? {} : { VFIO_HOST_MEMLOCK: String(memlock) }),
  };
}

async function makeDevice({ client }: Target, { create, pci }: DeviceSpec): Promise<ShownDevice> {
  const made = await client.request('POST', '/v1/devices', { body: create });
  const { device, group, kind, driver } = made as {
    device: string;
    group: string;
    kind: string;
    driver?: { type: string };
  };
  const number = Number(/^g([0-9]+)$/.exec(group)?.[1] ?? Number.NaN);
  if (Number.isNaN(number)) throw new Error(`group "${group}" has no number: name it gN to be /dev/vfio/N`);
  return { id: device, group: number, noIommu: kind === 'noiommu', pci, driver: driver?.type ?? null };
}
