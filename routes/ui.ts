import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Id } from '../schemas/values.ts';
import type { Host } from '../src/host/host.ts';
import { hexAddress } from '../src/kernel/pages.ts';
import type { Iommu } from '../src/kernel/type1/iommu.ts';
import { describeContainer } from '../src/machine/calls/container.ts';
import { Refused } from '../src/machine/refused.ts';
import type { Rig } from '../src/rig/rig.ts';
import { DEFAULT_RIG } from '../src/rig/rigs.ts';
import type { Service } from '../src/service.ts';
import { RIG_HEADER } from './rig-of.ts';

/** The page's files and their media types; nothing else of the folder is served. */
const FILES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
  'card.js': 'text/javascript; charset=utf-8',
  'feed.js': 'text/javascript; charset=utf-8',
  'layout.js': 'text/javascript; charset=utf-8',
  'log.js': 'text/javascript; charset=utf-8',
  'main.js': 'text/javascript; charset=utf-8',
  'rounds.js': 'text/javascript; charset=utf-8',
  'strip.js': 'text/javascript; charset=utf-8',
  'table.js': 'text/javascript; charset=utf-8',
  'words.js': 'text/javascript; charset=utf-8',
};

/** Nothing but this server's own files; no inline script or style, no frames, no markup made from strings. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ');

/** Mappings and runs of pins that one layout carries; the page says so where there are more. */
const LAYOUT_MAX = 131_072;

/** Bits of a mapping's `flags` in a layout, beside READ 1 and WRITE 2. */
const VADDR_INVALID = 4;
const IOMMU_MAPPED = 8;

const NoQuery = Type.Object({}, { additionalProperties: false });

interface Page {
  readonly body: Buffer;
  readonly etag: string;
}
const pages = new Map<string, Page>();

/** A file of the page; `ui` lies one folder above this file, two above the compiled one. */
function pageOf(name: string): Page {
  const known = pages.get(name);
  if (known) return known;
  for (const path of [`../ui/${name}`, `../../ui/${name}`]) {
    try {
      const body = readFileSync(new URL(path, import.meta.url));
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
      const page = { body, etag };
      pages.set(name, page);
      return page;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error(`ui/${name} is missing`);
}

/** `GET /`: a page that shows a rig's containers live, and what only the page needs. */
export function uiRoutes(app: FastifyInstance, service: Service): void {
  const serve = (url: string, name: string) =>
    app.get(url, { schema: { hide: true, querystring: NoQuery } }, (request, reply) =>
      sendPage(request, reply, name),
    );
  for (const name of Object.keys(FILES)) serve(name === 'index.html' ? '/' : `/ui/${name}`, name);
  app.get<{ Params: { container: string } }>(
    '/ui/containers/:container/layout',
    { schema: { hide: true, params: Type.Object({ container: Id }), querystring: NoQuery } },
    (request, reply) => {
      reply.header('cache-control', 'no-store');
      return layoutOf(watched(service, request), request.params.container);
    },
  );
}

function sendPage(request: FastifyRequest, reply: FastifyReply, name: string): FastifyReply {
  const { body, etag } = pageOf(name);
  reply
    .header('content-security-policy', CONTENT_SECURITY_POLICY)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-opener-policy', 'same-origin')
    // Asked about each time, so that a new version is never mixed with an old one.
    .header('cache-control', 'no-cache')
    .header('etag', etag);
  const given = request.headers['if-none-match'];
  if (given?.split(',').some((one) => one.trim().replace(/^W\//, '') === etag)) return reply.code(304).send();
  return reply.type(FILES[name]!).send(body);
}

/** The rig that is looked at: looking makes none, and is no use of one. */
function watched(service: Service, request: FastifyRequest): Rig {
  const name = String(request.headers[RIG_HEADER] ?? DEFAULT_RIG);
  const rig = service.rigs.list().find((one) => one.name === name);
  if (!rig) throw Refused.notFound('rig', name);
  return rig;
}

/** A container with everything in its IOVA space, in columns. `seq`: the journal's when it was so. */
function layoutOf({ name, host }: Rig, id: string) {
  const container = host.machine.container(id);
  const { iommu } = container;
  return {
    rig: name,
    seq: host.journal.seq,
    ...describeContainer(container),
    ...columnsOf(host, iommu),
  };
}

/**
 * The mappings by IOVA, and the pins as runs: pages one after the other with frames one after the other and
 * the same holders. `pins.mapping` is an index into the mappings, `pins.holders` one into `holders`.
 */
function columnsOf(host: Host, iommu: Iommu | null) {
  const mappings = {
    iova: [] as string[],
    size: [] as string[],
    vaddr: [] as string[],
    flags: [] as number[],
  };
  const runs = new PinRuns(host);
  let complete = true;
  if (iommu) {
    const table = iommu.mappings;
    for (const slot of table.inOrder()) {
      if (mappings.iova.length === LAYOUT_MAX) {
        complete = false;
        break;
      }
      mappings.iova.push(pageAddress(table.iova[slot]!));
      mappings.size.push(pageAddress(table.size[slot]!));
      mappings.vaddr.push(pageAddress(table.vaddr[slot]!));
      mappings.flags.push(
        (table.prot[slot]! & 3) |
          (table.vaddrInvalid(slot) ? VADDR_INVALID : 0) |
          (table.iommuMapped(slot) ? IOMMU_MAPPED : 0),
      );
      if (!runs.addAll(iommu, slot, mappings.iova.length - 1)) complete = false;
    }
  }
  return { complete, mappings, pins: runs.columns, holders: runs.holders };
}

/** The address of a page; exact, and several times as fast as by its bytes, which do not fit a small integer. */
function pageAddress(page: number): string {
  return page === 0 ? '0x0' : `0x${page.toString(16)}000`;
}

class PinRuns {
  readonly columns = {
    mapping: [] as number[],
    iova: [] as string[],
    pages: [] as number[],
    pfn: [] as string[],
    holders: [] as number[],
  };
  readonly holders: { device: string; count: number }[][] = [];
  private readonly holdersByKey = new Map<string, number>();

  constructor(private readonly host: Host) {}

  /** Adds the pins of a mapping; false where there is no room for all of them. */
  addAll({ mappings, pins }: Iommu, slot: number, index: number): boolean {
    const { columns } = this;
    let [page, offset, pfn, held] = [-1, -1, -1, -1];
    for (const pin of pins.inOrder(mappings.pins[slot]!)) {
      const holders = this.holdersIndex(pins.holdersOf(pin));
      const follows =
        pins.page[pin] === page + 1 &&
        pins.pfn[pin] === pfn + 1 &&
        pins.offset[pin] === offset &&
        holders === held;
      if (!follows && columns.iova.length === LAYOUT_MAX) return false;
      [page, offset, pfn, held] = [pins.page[pin]!, pins.offset[pin]!, pins.pfn[pin]!, holders];
      if (follows) {
        columns.pages[columns.pages.length - 1]!++;
        continue;
      }
      columns.mapping.push(index);
      columns.iova.push(offset === 0 ? pageAddress(page) : hexAddress(page, offset));
      columns.pages.push(1);
      columns.pfn.push(`0x${pfn.toString(16)}`);
      columns.holders.push(holders);
    }
    return true;
  }

  private holdersIndex(counts: ReadonlyMap<number, number>): number {
    const key = [...counts].join(' ');
    let index = this.holdersByKey.get(key);
    if (index === undefined) {
      index = this.holders.length;
      this.holdersByKey.set(key, index);
      this.holders.push(
        [...counts].map(([device, count]) => ({ device: this.host.kernel.deviceName(device), count })),
      );
    }
    return index;
  }
}
