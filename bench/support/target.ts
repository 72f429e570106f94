import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What a server is asked: what it used since the last time; to watch its turns from now on; the longest of them. */
export type Asked = 'use' | 'watch' | 'stall';

/** What a server used since it was asked before. */
export interface Told {
  /** Microseconds of processor time. */
  cpuUs: number;
  /** Share of the time in which its event loop was busy. */
  busy: number;
  /** The longest that nothing else had a turn, milliseconds. */
  stallMs: number;
  /** How much of that the engine collected garbage, milliseconds. */
  gcMs: number;
}

/** A server in a process of its own. */
export class Target {
  private constructor(
    private readonly child: ChildProcess,
    readonly port: number,
  ) {}

  static async start(name: 'service' | 'bare' | 'driver'): Promise<Target> {
    const child = fork(fileURLToPath(new URL('served.js', import.meta.url)), [name], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const [port] = (await once(child, 'message')) as [number];
    return new Target(child, port);
  }

  async ask(what: Asked): Promise<Told> {
    const answer = once(this.child, 'message') as Promise<[Told]>;
    this.child.send(what);
    return (await answer)[0];
  }

  /** Makes a request, which must be answered with less than 300; the answer's text. */
  async request(
    method: string,
    path: string,
    body?: object | string,
    type = 'application/json',
  ): Promise<string> {
    const { status, text } = await this.any(method, path, body, type);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 500)}`);
    return text;
  }

  /** Makes a request that must be refused: answered with 4xx. */
  async refused(method: string, path: string, body?: object | string | null, type?: string): Promise<void> {
    const { status, text } = await this.any(method, path, body, type);
    if (status < 400 || status >= 500) throw new Error(`${method} ${path}: ${status} ${text.slice(0, 500)}`);
  }

  /** Makes a request, whatever it is answered. */
  async any(
    method: string,
    path: string,
    body?: object | string | null,
    type = 'application/json',
  ): Promise<{ status: number; text: string }> {
    const hasBody = body !== undefined && body !== null;
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method,
      headers: hasBody ? { 'content-type': type } : {},
      body: hasBody ? (typeof body === 'string' ? body : JSON.stringify(body)) : null,
    });
    return { status: response.status, text: await response.text() };
  }

  /** Makes calls, one after the other, each of which must succeed. */
  async calls(lines: readonly string[]): Promise<void> {
    const text = await this.request('POST', '/v1/batch', `${lines.join('\n')}\n`, 'application/x-ndjson');
    const failed = text.split('\n').find((line) => line !== '' && !/^\{"status":20[0-4]/.test(line));
    if (failed !== undefined) throw new Error(`batch: ${failed}`);
  }

  async stop(): Promise<void> {
    this.child.disconnect();
    await once(this.child, 'exit');
  }
}
