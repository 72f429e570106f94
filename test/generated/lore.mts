// The lore thread with a client generated from openapi.json: it compiles only where the document says what is needed.
import createClient from 'openapi-fetch';
import type { components, paths } from './api.ts';

const [, , baseUrl] = process.argv;
const client = createClient<paths>({ baseUrl: baseUrl!, headers: { 'X-Rig': 'generated' } });
type Problem = components['schemas']['Problem'];
type Accepted = components['schemas']['Accepted'];

/** The body of an answer that must be one, and not that of a call under way (202) or of a stream. */
function done<T>({ data, error }: { data?: T; error?: unknown }): Exclude<T, Accepted | string> {
  if (data === undefined) throw new Error(JSON.stringify(error));
  return data as Exclude<T, Accepted | string>;
}

const container = 'c0';
const device = 'ccw';
await client.POST('/v1/reset', { body: { kernel: '6.1' } });
done(await client.POST('/v1/containers', { body: { container } }));
const driver: components['schemas']['SyntheticDriver'] = {
  type: 'synthetic',
  onDmaUnmap: 'unpin-first-page',
};
done(await client.POST('/v1/devices', { body: { device, driver } }));
done(
  await client.POST('/v1/containers/{container}/attach', {
    params: { path: { container } },
    body: { device },
  }),
);
const mapped = done(
  await client.POST('/v1/containers/{container}/map-dma', {
    params: { path: { container } },
    body: { iova: '0x10000', vaddr: '0x7f0000000000', size: '0x10000', flags: ['read', 'write'] },
  }),
);
const size: string = mapped.size;
const pinned = done(
  await client.POST('/v1/devices/{device}/pin-pages', {
    params: { path: { device } },
    body: { iova: '0x15000', npage: 1, prot: ['read', 'write'] },
  }),
);
const { error } = await client.POST('/v1/containers/{container}/unmap-dma', {
  params: { path: { container }, header: { Prefer: 'respond-async' } },
  body: { iova: '0x10000', size },
});
const problem = error as Problem;

/** A union that is told apart by its kind: each has fields of its own. */
const { events } = done(await client.GET('/v1/events', { params: { query: { kind: 'invalidation' } } }));
const attempts = events.map((event) => (event.kind === 'invalidation' ? event.attempt : 0));

console.log(
  JSON.stringify({
    pages: pinned.pages.length,
    status: problem.status,
    killed: problem.killed,
    condition: problem.splat?.condition,
    attempts,
  }),
);
