import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Longest one command may take, milliseconds: installations and searches are among them. */
const COMMAND_MS = 170_000;

/** What one command printed, on both, and its exit code. */
interface Pasted {
  readonly code: number;
  readonly text: string;
}

/** A clone of this repository in a folder of its own, in which commands are pasted as a reader would. */
export class Clone {
  readonly #home = mkdtempSync(join(tmpdir(), 'vfio-host-newcomer-'));
  readonly folder = join(this.#home, 'vfio-host');
  #service: ChildProcess | null = null;
  /** Where the service is: the documents' 127.0.0.1:8080. */
  #port = 0;

  /** What git has, and what is not committed yet of what git would take. */
  constructor() {
    writeFileSync(join(this.#home, '.gitconfig'), '[safe]\n\tdirectory = *\n');
    this.#git(this.#home, 'clone', '--quiet', '--depth', '1', `file://${ROOT}`, this.folder);
    for (const path of this.#git(ROOT, 'diff', '-z', '--name-only', '--no-renames', 'HEAD')) {
      rmSync(join(this.folder, path), { force: true });
    }
    const changed = this.#git(ROOT, 'diff', '-z', '--name-only', '--no-renames', '--diff-filter=d', 'HEAD');
    for (const path of [...changed, ...this.#git(ROOT, 'ls-files', '-z', '--others', '--exclude-standard')]) {
      mkdirSync(dirname(join(this.folder, path)), { recursive: true });
      cpSync(join(ROOT, path), join(this.folder, path));
    }
  }

  #git(cwd: string, ...args: string[]): string[] {
    const { PATH } = process.env;
    const printed = execFileSync('git', args, { cwd, env: { PATH, HOME: this.#home }, encoding: 'utf8' });
    return printed.split('\0').filter((path) => path !== '');
  }

  /**
   * `npm ci`, as it is pasted. Where no registry is reached, this repository's packages stand for those.
   *
   * @returns whether one is
   */
  install(): boolean {
    const { code, text } = this.paste('npm ci');
    if (code === 0) return true;
    if (process.env.CI || !/ENOTCACHED|EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ETIMEDOUT/.test(text)) {
      throw new Error(`npm ci ended with ${code}: ${text}`);
    }
    console.warn(`npm ci was NOT tried: no registry is reached, and its cache has not everything.\n${text}`);
    rmSync(join(this.folder, 'node_modules'), { recursive: true, force: true });
    // A copy, and no link: the image's part prunes it.
    const options = { recursive: true, verbatimSymlinks: true };
    cpSync(join(ROOT, 'node_modules'), join(this.folder, 'node_modules'), options);
    return false;
  }

  /** What a shell of the reader knows: nothing of this repository's, and npm's cache as it is. */
  #env(): NodeJS.ProcessEnv {
    const kept = Object.entries(process.env).filter(([name]) =>
      /^(PATH|LANG|NODE_EXTRA_CA_CERTS|.*_proxy)$/i.test(name),
    );
    return {
      ...Object.fromEntries(kept),
      NO_PROXY: '127.0.0.1',
      no_proxy: '127.0.0.1',
      HOME: this.#home,
      npm_config_cache: process.env.npm_config_cache ?? join(process.env.HOME ?? '', '.npm'),
      npm_config_userconfig: join(process.env.HOME ?? '', '.npmrc'),
      npm_config_prefer_offline: 'true',
      npm_config_update_notifier: 'false',
      PYTHONDONTWRITEBYTECODE: '1',
      PORT: '0',
      PORT_FILE: join(this.#home, 'port'),
    };
  }

  /** One command, as the reader's shell runs it. Nothing is typed at it. */
  paste(command: string, cwd = this.folder): Pasted {
    const text = command.replaceAll(/127\.0\.0\.1:(8080|9000)/g, `127.0.0.1:${this.#port}`);
    try {
      const stdout = execFileSync('bash', ['-c', `{ ${text}\n} 2>&1`], {
        cwd,
        env: this.#env(),
        encoding: 'utf8',
        timeout: COMMAND_MS,
        maxBuffer: 2 ** 26,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      return { code: 0, text: stdout };
    } catch (error) {
      const { status, stdout } = error as { status: number; stdout: string };
      return { code: status, text: stdout };
    }
  }

  /** Starts the service as README.md says, and waits until it says which port it is on. */
  async start(): Promise<void> {
    this.#service = await this.#runs('npm start', /"msg":"port \d+"/, this.folder);
    this.#port = Number(readFileSync(join(this.#home, 'port'), 'utf8'));
  }

  /** A command that goes on until Ctrl-C: stopped as soon as it has said this. Answers its exit code. */
  async pasteUntil(command: string, said: RegExp, cwd = this.folder): Promise<number | null> {
    return interrupt(await this.#runs(command, said, cwd));
  }

  /** Starts what goes on, and waits until it has said this. */
  async #runs(command: string, said: RegExp, cwd: string): Promise<ChildProcess> {
    const child = spawn('bash', ['-c', command], {
      cwd,
      env: this.#env(),
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    const there = new Promise<void>((resolve) => {
      const take = (more: Buffer) => {
        text += more;
        if (said.test(text)) resolve();
      };
      child.stdout.on('data', take);
      child.stderr.on('data', take);
    });
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`${command} ended with ${code}: ${text}`);
    });
    ended.catch(() => {});
    await Promise.race([there, ended]);
    return child;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async stop(): Promise<void> {
    if (this.#service) await interrupt(this.#service);
    this.#service = null;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#home, { recursive: true, force: true });
  }
}

/** What Ctrl-C does: all that the shell has started is told. Answers the exit code. */
async function interrupt(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  const ended = once(child, 'exit');
  process.kill(-child.pid!, 'SIGINT');
  const [code] = await ended;
  return code;
}
