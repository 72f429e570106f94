import { execFileSync, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The program as a client of the command line has it, compiled into a folder of its own. */
export interface Program {
  readonly main: string;
  remove(): void;
}

/** How long that may take on a busy machine, milliseconds. */
export const COMPILE_MS = 120_000;

/** Compiles the program as `npm run build` does; types are checked elsewhere. */
export function compile(): Program {
  const cache = join(ROOT, 'node_modules', '.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'process-test-'));
  const bin = (name: string) => join(ROOT, 'node_modules', '.bin', name);
  execFileSync(bin('tsc'), ['-p', 'tsconfig.json', '--noCheck', '--outDir', folder], { cwd: ROOT });
  const env = { ...process.env, BUILT: folder };
  execFileSync(bin('rolldown'), ['--config'], { cwd: ROOT, env, stdio: 'ignore' });
  // The program reads its version from the package around it, which also has what is not compiled.
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  for (const part of ['ui', 'preload']) symlinkSync(join(ROOT, part), join(folder, part));
  return {
    main: join(folder, 'src', 'main.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A log line as the process wrote it. */
export type Line = Record<string, unknown> & { level: number; msg: string };

/** How a process ended. */
export interface End {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** A running program. */
export interface Running {
  /** Where it listens, once it has said so; fails if it ends before. */
  readonly ready: Promise<string>;
  readonly end: Promise<End>;
  /** Log lines so far. */
  readonly lines: Line[];
  /** The first log line of which something holds, once there is one. */
  saying(holds: (line: Line) => boolean): Promise<Line>;
  /** What matches what it printed, once it does. */
  printing(text: RegExp): Promise<RegExpExecArray>;
  kill(signal: NodeJS.Signals): void;
}

/** Starts the program with these arguments, and with no environment but this. */
export function start(program: Program, args: readonly string[], env: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [program.main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: Line[] = [];
  const printed = new EventEmitter();
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    stdout += `${line}\n`;
    if (line.startsWith('{')) lines.push(JSON.parse(line) as Line);
    printed.emit('line');
  });
  const end = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }) as End);
  const failed = end.then(({ code }) => Promise.reject(new Error(`ended with ${code}: ${stderr}`)));
  failed.catch(() => {});
  /** What `look` finds, as soon as it does; fails where the process ends before. */
  const found = <T>(look: () => T | null | undefined): Promise<T> => {
    const looking = new Promise<T>((resolve) => {
      const again = () => {
        const value = look();
        if (value === null || value === undefined) return;
        printed.off('line', again);
        resolve(value);
      };
      printed.on('line', again);
      again();
    });
    return Promise.race([looking, failed]);
  };
  const ready = found(() => {
    const urls = lines.map(({ msg }) => /^ready at (\S+)$/.exec(msg)?.[1]);
    return urls.find((url) => url !== undefined);
  });
  ready.catch(() => {});
  return {
    ready,
    end,
    lines,
    saying: (holds) => found(() => lines.find(holds)),
    printing: (text) => found(() => text.exec(stdout)),
    kill: (signal) => void child.kill(signal),
  };
}
