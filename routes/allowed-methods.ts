import type { FastifyInstance } from 'fastify';

interface Known {
  readonly segments: readonly string[];
  readonly methods: Set<string>;
}

/** Which methods the routes of a path take, so that a request with another one can be told. */
export class AllowedMethods {
  private readonly byUrl = new Map<string, Known>();

  /** Learns every route that is added from here on. */
  constructor(app: FastifyInstance) {
    app.addHook('onRoute', ({ url, method }) => {
      const known = this.byUrl.get(url) ?? { segments: url.split('/'), methods: new Set<string>() };
      this.byUrl.set(url, known);
      for (const one of [method].flat()) known.methods.add(one);
    });
  }

  /** The methods that a path takes, in order; empty where there is no such path. */
  of(path: string): string[] {
    const segments = path.split('/');
    const methods = [...this.byUrl.values()]
      .filter((known) => matches(known.segments, segments))
      .flatMap((known) => [...known.methods]);
    return [...new Set(methods)].sort();
  }
}

/** What may stand for a `:name`: characters of ids, and what stands for others. */
const NAME = /^[\w.%-]+$/;

/** Whether a path is one of a route: `:name` stands for a segment, `*` at the end for any more of them. */
function matches(route: readonly string[], path: readonly string[]): boolean {
  const open = route.at(-1) === '*';
  if (open ? path.length < route.length : path.length !== route.length) return false;
  return route.every(
    (segment, at) =>
      segment === '*' || segment === path[at] || (segment.startsWith(':') && NAME.test(path[at]!)),
  );
}
