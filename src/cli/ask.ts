import { Agent, type Dispatcher, request } from 'undici';
import { UsageError } from '../arguments.ts';
import { UnreachableError } from './exit.ts';

/** How long a service may take over one answer, milliseconds. */
const ANSWER_MS = 120_000;

/** What a service may be named by, in words. */
export const URL_RULE = 'http://HOST:PORT, https://HOST:PORT or unix:PATH';

/** The environment variable with the token of a service that asks for one. */
const TOKEN = 'AUTH_TOKEN';

/** A request to a service. */
interface Question {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Where a service is: its base, and its socket if it listens on one. */
interface Place {
  readonly base: URL;
  readonly socketPath?: string;
}

/** A service that runs somewhere; AUTH_TOKEN of the environment is its token. */
export class RunningService {
  private readonly place: Place;

  /** @throws UsageError for what is no URL of a service */
  constructor(private readonly url: string) {
    this.place = placeOf(url);
  }

  /**
   * Asks it.
   *
   * @throws UnreachableError where it does not answer
   */
  async ask({ method, path, headers = {}, body }: Question): Promise<{ status: number; text: string }> {
    const { base, socketPath } = this.place;
    const dispatcher = socketPath === undefined ? undefined : new Agent({ connect: { socketPath } });
    const token = process.env[TOKEN];
    try {
      const answer = await request(new URL(path, base), {
        method,
        headers: { ...headers, ...(token ? { authorization: `Bearer ${token}` } : {}) },
        headersTimeout: ANSWER_MS,
        bodyTimeout: ANSWER_MS,
        ...(body === undefined ? {} : { body }),
        ...(dispatcher ? { dispatcher: dispatcher as Dispatcher } : {}),
      });
      return { status: answer.statusCode, text: await answer.body.text() };
    } catch (error) {
      throw new UnreachableError(`${this.url} does not answer: ${(error as Error).message}`);
    } finally {
      await dispatcher?.close();
    }
  }

  /** What to say of an answer that was not asked for. */
  unexpected(status: number, text: string): Error {
    const hint = status === 401 ? ` (its token: the environment variable ${TOKEN})` : '';
    return new UnreachableError(`${this.url} answered ${status}: ${detailOf(text)}${hint}`);
  }
}

function placeOf(url: string): Place {
  if (/^unix:./.test(url))
    return { base: new URL('http://localhost'), socketPath: url.slice('unix:'.length) };
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return { base: new URL(url) };
  throw new UsageError(`--url: "${url}" is not ${URL_RULE}`);
}

function detailOf(text: string): string {
  try {
    return String((JSON.parse(text) as { detail?: unknown }).detail ?? text);
  } catch {
    return text.slice(0, 200);
  }
}
