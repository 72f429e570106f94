import type { MetricObjectWithValues, MetricValueWithName } from 'prom-client';

/** Bounds of the request durations, seconds: most calls take well under a millisecond, a webhook may take its time. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

const NAME = 'vfio_host_http_request_duration_seconds';

/** Requests of one method to one route. */
interface Times {
  readonly method: string;
  readonly route: string;
  /** How many fell between a bound and the one before; the last: above all of them. */
  readonly counts: number[];
  readonly byStatus: Map<number, number>;
  sum: number;
}

type Label = 'method' | 'route' | 'le';
type Shown = Pick<
  MetricObjectWithValues<MetricValueWithName<Label>>,
  'name' | 'help' | 'aggregator' | 'values'
> & {
  type: 'histogram';
};

/**
 * How long requests took, and how they ended: counted here, because the library's labelled histogram takes longer than
 * many a request. As a metric it is a histogram.
 */
export class RequestTimes {
  readonly name = NAME;
  private readonly byRoute = new Map<string, Map<string, Times>>();

  /** A request was answered. */
  add(method: string, route: string, status: number, seconds: number): void {
    const times = this.timesOf(method, route);
    let bucket = 0;
    while (bucket < BUCKETS.length && seconds > BUCKETS[bucket]!) bucket++;
    times.counts[bucket]!++;
    times.sum += seconds;
    times.byStatus.set(status, (times.byStatus.get(status) ?? 0) + 1);
  }

  private timesOf(method: string, route: string): Times {
    let byMethod = this.byRoute.get(route);
    if (!byMethod) {
      byMethod = new Map();
      this.byRoute.set(route, byMethod);
    }
    let times = byMethod.get(method);
    if (!times) {
      const counts = [...BUCKETS, Number.POSITIVE_INFINITY].map(() => 0);
      times = { method, route, counts, byStatus: new Map(), sum: 0 };
      byMethod.set(method, times);
    }
    return times;
  }

  private *all(): Generator<Times> {
    for (const byMethod of this.byRoute.values()) yield* byMethod.values();
  }

  /** How many requests ended how. */
  *answered(): Generator<{ method: string; route: string; status: number; count: number }> {
    for (const { method, route, byStatus } of this.all()) {
      for (const [status, count] of byStatus) yield { method, route, status, count };
    }
  }

  /** The histogram, as the library's registry asks for it. */
  async get(): Promise<Shown> {
    return {
      name: NAME,
      help: 'Time from the request to the end of its answer; a call that waits, or a stream, takes as long as it does.',
      type: 'histogram',
      aggregator: 'sum',
      values: [...this.all()].flatMap(samplesOf),
    };
  }
}

function samplesOf({ method, route, counts, sum }: Times): MetricValueWithName<Label>[] {
  let below = 0;
  const buckets = counts.map((count, i) => {
    below += count;
    const labels = { le: BUCKETS[i] ?? '+Inf', method, route };
    return { metricName: `${NAME}_bucket`, labels, value: below };
  });
  const labels = { method, route };
  return [
    ...buckets,
    { metricName: `${NAME}_sum`, labels, value: sum },
    { metricName: `${NAME}_count`, labels, value: below },
  ];
}
