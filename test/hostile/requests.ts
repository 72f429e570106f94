import { readFileSync } from 'node:fs';
import type { Random } from '../simulation/random.ts';
import { type Schema, Values } from './values.ts';

/** One request of a fuzzer. */
export interface Attack {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string | null;
}

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly { name: string; in: string; schema: Schema }[];
  readonly body: { type: string; schema: Schema } | null;
}

const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS', 'TRACE'];
const NDJSON = 'application/x-ndjson';

/** Longest body of the ordinary kind of too long ones, and of the seldom ones, bytes. */
const BIG = 300_000;
const HUGE = 12 * 1024 * 1024;
const NESTING = 5000;

/** What streams for ever or waits is asked for with an end. */
const ENDLESS = /^\/v1\/(events|sleep)/;

/** What may work for seconds is asked for seldom. */
export const LONG = /^\/v1\/(explore|minimize|compare|replay)/;

/** Requests made from the service's own description. */
export class Attacks {
  private readonly operations: Operation[];
  private readonly values: Values;
  private readonly calls: Operation[];
  /** Operations of which each may take seconds, and the others. */
  private readonly long: Operation[];
  private readonly short: Operation[];

  constructor(
    private readonly random: Random,
    openapi: string,
    urls: readonly string[],
  ) {
    const document = JSON.parse(readFileSync(openapi, 'utf8')) as {
      components: { schemas: Record<string, Schema> };
      paths: Record<string, Record<string, Described>>;
    };
    this.values = new Values(random, document.components.schemas, urls);
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, described]) => operationOf(method, path, described)),
    );
    this.long = this.operations.filter(({ path }) => LONG.test(path));
    this.short = this.operations.filter(({ path }) => !LONG.test(path));
    this.calls = this.operations.filter(
      ({ method, path }) =>
        method === 'POST' && /^\/v1\/(containers|devices|processes|faults|set-parameters)/.test(path),
    );
  }

  /** A rig worth attacking: a container, an open device with pins, memory. */
  static readonly START: readonly object[] = [
    { call: 'open-container', container: 'c0' },
    { call: 'open-container', container: 'c1' },
    { call: 'create-process', process: 'p1' },
    ...['d0', 'd1'].flatMap((device, i) => [
      {
        call: 'create-device',
        device,
        driver: { type: 'synthetic', onDmaUnmap: i ? 'ignore' : 'unpin-range' },
      },
      { call: 'attach', container: 'c0', device },
    ]),
    { call: 'map-dma', container: 'c0', iova: 0x10000, vaddr: 0x10000, size: 0x10000, flags: 3 },
    { call: 'pin-pages', device: 'd0', iova: 0x10000, npage: 2, prot: 3 },
  ];

  /** One of every operation. */
  *each(): Generator<Attack> {
    for (const operation of this.operations) yield this.described(operation);
  }

  /** The next one. */
  next(): Attack {
    const { random } = this;
    switch (
      random.weighted({
        call: 60,
        any: 20,
        batch: 6,
        snapshot: 1,
        trace: 2,
        body: 4,
        headers: 4,
        path: 3,
        harsh: 2,
        huge: 0.05,
      })
    ) {
      case 'call':
        return this.described(random.pick(this.calls));
      case 'any':
        return this.described(random.pick(random.chance(0.02) ? this.long : this.short));
      case 'batch':
        return this.batch();
      case 'snapshot':
        return {
          method: 'PUT',
          path: '/v1/snapshot',
          headers: JSON_HEADERS,
          body: '{"format":"vfio-host-snapshot","version":1,"kernel":"6.1","state":{}}',
        };
      case 'trace':
        return {
          method: 'POST',
          path: '/v1/replay',
          headers: JSON_HEADERS,
          body: JSON.stringify({ id: 't', kernel: '6.1', steps: this.steps() }),
        };
      case 'body':
        return { ...this.described(random.pick(this.calls)), ...this.badBody() };
      case 'headers': {
        const attack = this.described(random.pick(this.operations));
        return { ...attack, headers: { ...attack.headers, ...this.badHeaders() } };
      }
      case 'harsh':
        return this.harsh();
      case 'huge':
        return this.huge();
      case 'path':
        return { method: random.pick(METHODS), path: this.badPath(), headers: {}, body: null };
    }
  }

  private described({ method, path, parameters, body }: Operation): Attack {
    let at = path.replace(/\{[^}]*\}/g, (name) => encodeURIComponent(this.id(name)));
    const query = new URLSearchParams();
    const headers: Record<string, string> = {};
    for (const { name, in: where, schema } of parameters) {
      const isWait = name === 'wait' || name === 'timeoutMs';
      if (where === 'query' && !isWait && this.random.chance(0.4)) query.set(name, this.text(schema));
      if (where === 'header' && this.random.chance(0.3)) headers[name] = printable(this.text(schema));
    }
    if (this.random.chance(0.02)) query.set('wait', '1');
    if (query.has('wait')) query.set('timeoutMs', String(this.random.upTo(20)));
    if (query.size > 0) at += `?${query}`;
    if (this.random.chance(0.15)) headers.prefer = 'respond-async';
    if (!body) return { method, path: at, headers, body: null };
    const value = this.values.of(body.schema);
    if (ENDLESS.test(path) && isObject(value)) value.milliseconds = this.random.upTo(20);
    return {
      method,
      path: at,
      headers: { ...headers, 'content-type': body.type },
      body: JSON.stringify(value),
    };
  }

  private id(name: string): string {
    const { random } = this;
    if (random.chance(0.03))
      return random.pick(['', ' ', '..', 'x'.repeat(5000), '\u0000', '😀', 'c0/../c1', '%00']);
    if (name === '{container}') return random.pick(['c0', 'c0', 'c1', 'c9']);
    if (name === '{device}') return random.pick(['d0', 'd0', 'd1', 'd9']);
    if (name === '{process}') return random.pick(['p0', 'p1', 'p9']);
    return random.pick(['f0', 'op0', 'op1', 'nothing']);
  }

  private text(schema: Schema): string {
    const value = this.values.of(schema);
    return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  }

  /** Calls as lines; now and then one that is none. */
  private batch(): Attack {
    const lines = Array.from({ length: 1 + this.random.upTo(20) }, () => {
      if (this.random.chance(0.05))
        return this.random.pick([
          '{',
          '[]',
          'null',
          '"',
          '{"call":7}',
          '{"call":"await","of":"x"}',
          '\u0000',
        ]);
      return JSON.stringify(this.callObject());
    });
    return {
      method: 'POST',
      path: '/v1/batch',
      headers: { 'content-type': NDJSON },
      body: `${lines.join('\n')}\n`,
    };
  }

  private callObject(): object {
    const { path, body } = this.random.pick(this.calls);
    const parts = path.split('/');
    const call = parts.at(-1)!.startsWith('{') || parts.length < 5 ? 'map-dma' : parts.at(-1)!;
    const value = body ? this.values.of(body.schema) : {};
    const target = parts[3]?.replace(/[{}]/g, '');
    const named = target ? { [target]: this.id(`{${target}}`) } : {};
    return { call, ...named, ...(isObject(value) ? value : {}) };
  }

  private steps(): object[] {
    return [...Attacks.START, ...Array.from({ length: this.random.upTo(10) }, () => this.callObject())];
  }

  /** What an operator would not do: a rig that ends at its next splat, calls that take their time or fail. */
  private harsh(): Attack {
    const { random } = this;
    const panics = { panicOnWarn: random.chance(0.5), panicOnOops: random.chance(0.5) };
    const fault = {
      on: random.pick(['map-dma', 'unmap-dma', 'pin-pages', 'attach', 'open-device']),
      every: 1 + random.upTo(4),
      ...(random.chance(0.6) ? { delayMs: random.pick([1, 20, 2000]) } : { errno: 'EIO' }),
    };
    const isPanic = random.chance(0.3);
    return {
      method: 'POST',
      path: isPanic ? '/v1/set-parameters' : '/v1/faults',
      headers: JSON_HEADERS,
      body: JSON.stringify(isPanic ? panics : fault),
    };
  }

  /** Bodies of many megabytes, right and wrong. */
  private huge(): Attack {
    const json = (method: string, path: string, body: string): Attack => ({
      method,
      path,
      headers: JSON_HEADERS,
      body,
    });
    const memory = '/v1/processes/p0/write-memory';
    const makes = [
      () => json('POST', memory, `{"vaddr":"0x0","data":"${'AAAA'.repeat(HUGE / 4)}"}`),
      () => json('POST', memory, `{"vaddr":"0x0","data":"${'A'.repeat(HUGE)}A"}`),
      () => json('POST', memory, `{${Array.from({ length: 500_000 }, (_, i) => `"f${i}":1`).join(',')}}`),
      () => json('POST', '/v1/containers', `[${'0,'.repeat(HUGE / 2)}0]`),
      () => json('POST', '/v1/containers', `${'['.repeat(HUGE)}`),
      () => json('PUT', '/v1/snapshot', `{"state":{"warnedOnce":[${'"B1",'.repeat(HUGE / 5)}"B1"]}}`),
      () => json('POST', '/v1/replay', `{"id":"t","kernel":"6.1","steps":[${'{},'.repeat(HUGE / 3)}{}]}`),
      () => ({ ...json('POST', '/v1/batch', `{"call":"${'x'.repeat(HUGE)}"}\n`), headers: LINES }),
      () => ({
        ...json(
          'POST',
          '/v1/batch',
          '{"call":"check-extension","container":"c0","extension":1}\n'.repeat(HUGE / 100),
        ),
        headers: LINES,
      }),
    ];
    return this.random.pick(makes)();
  }

  private badBody(): Pick<Attack, 'headers' | 'body'> {
    const { random } = this;
    const bodies = [
      () => '{',
      () => '',
      () => '\u0000',
      () => 'null',
      () => '"x"',
      () => `${'['.repeat(NESTING)}${']'.repeat(NESTING)}`,
      () => `${'{"a":'.repeat(NESTING)}1${'}'.repeat(NESTING)}`,
      () => `{"iova":${'9'.repeat(BIG)}}`,
      () => `{"data":"${'A'.repeat(BIG)}"}`,
      () => `{${Array.from({ length: 5000 }, (_, i) => `"f${i}":1`).join(',')}}`,
      () => `[${'0,'.repeat(BIG / 2)}0]`,
      () => '{"__proto__":{"polluted":true}}',
      () => '{"constructor":{"prototype":{"polluted":true}}}',
      () => '{"iova":1e400}',
      () => '{"iova":0x10}',
      () => '{"iova":1,"iova":2}',
      () => '\ufeff{}',
    ];
    const type = random.pick([
      'application/json',
      'application/json',
      'application/json; charset=utf-16',
      'text/plain',
      'application/xml',
      'multipart/form-data',
      NDJSON,
      '',
    ]);
    return { headers: type === '' ? {} : { 'content-type': type }, body: random.pick(bodies)() };
  }

  private badHeaders(): Record<string, string> {
    const { random } = this;
    const headers: [string, readonly string[]][] = [
      ['x-rig', ['', ' ', 'UPPER', 'a b', 'x'.repeat(300), '../..', 'é', '0']],
      ['last-event-id', ['0.5', '-1', 'NaN', '1e9', '9'.repeat(200), '', '0x10']],
      ['x-request-id', ['', 'x'.repeat(5000), '{}', '"']],
      ['prefer', ['respond-async, wait=0.5', 'wait=-1', 'x'.repeat(1000)]],
      ['accept', ['*/*', 'text/html', ',', 'q=0.5', 'x'.repeat(1000)]],
      ['accept-encoding', ['gzip;q=0.0001', 'br', 'identity;q=0']],
      ['content-type', ['', 'x/y', 'application/json;'.repeat(50), ';']],
      ['content-encoding', ['gzip', 'br', 'x']],
      ['if-none-match', ['*', '"x"', 'W/""']],
      ['range', ['bytes=0-0', 'bytes=-1', 'bytes=5-1']],
      ['origin', ['http://evil.example', 'null', 'http://127.0.0.1']],
      ['sec-fetch-site', ['cross-site', 'none', '']],
      ['host', ['evil.example', 'localhost', '', '[::1]', '127.0.0.1:0']],
      ['authorization', ['Bearer x', 'Basic !!!', 'x'.repeat(2000)]],
      ['expect', ['100-continue']],
      ['te', ['trailers']],
      ['x-long', ['y'.repeat(10_000), 'y'.repeat(15_500), 'y'.repeat(70_000)]],
    ];
    const made: Record<string, string> = {};
    for (let i = random.upTo(2); i >= 0; i--) {
      const [name, values] = random.pick(headers);
      made[name] = printable(random.pick(values));
    }
    return made;
  }

  private badPath(): string {
    return this.random.pick([
      '/',
      '//',
      '/v1/',
      '/v1//containers',
      '/v2',
      '/v1/containers/%',
      '/v1/containers/%00',
      '/v1/containers/%ff%fe',
      `/v1/containers/${'x'.repeat(8000)}`,
      '/v1/containers?limit=0.5',
      '/v1/containers?limit=-1',
      '/v1/containers?limit=1&limit=2',
      '/v1/events?since=0.5&wait=1&timeoutMs=1',
      '/v1/events?limit=1e3',
      '/v1/events?since=999999999999999999999',
      '/v1/trace?format=xml',
      '/v1/snapshot?secrets=1',
      '/v1/containers?cursor=%7B%7D',
      '/v1/devices/d0/../../..',
      '/v1/operations/op0?wait=1&timeoutMs=5',
      '/docs',
      '/docs/',
      '/docs/../package.json',
      '/ui/..%2f..%2fpackage.json',
      '/openapi.json',
      '/metrics?x=1',
      '/v1/containers?%',
    ]);
  }
}

interface Described {
  parameters?: { name: string; in: string; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
}

function operationOf(method: string, path: string, { parameters = [], requestBody }: Described): Operation {
  const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
  return {
    method: method.toUpperCase(),
    path,
    parameters,
    body: type === undefined ? null : { type, schema: content!.schema },
  };
}

const LINES = { 'content-type': NDJSON };

const JSON_HEADERS = { 'content-type': 'application/json' };

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A header's value as Node lets it out. */
function printable(text: string): string {
  return text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '?');
}
