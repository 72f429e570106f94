import { performance } from 'node:perf_hooks';
import { Agent, request } from 'undici';
import { mapLines, pinLines, setupLines } from '../support/lines.ts';
import { type Row, row } from '../support/row.ts';
import { Target } from '../support/target.ts';
import { inTurns } from '../support/turns.ts';

const ROUNDS = 21;
const WARM_UP = 5;
/** Unmaps, and twelve POSTs, in a round. */
const REPEATS = 10;
/** Callbacks of one unmap. */
const CALLBACKS = 11;

/** An unmap with eleven rounds to a webhook, against twelve plain POSTs to the same server. */
export async function webhooks(): Promise<Row[]> {
  const [service, driver] = [await Target.start('service'), await Target.start('driver')];
  const url = `http://127.0.0.1:${driver.port}/`;
  await service.calls(setupLines({ type: 'webhook', url }));
  const agent = new Agent();
  const post = async (to: string, body: object) => {
    const sent = await request(to, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      dispatcher: agent,
    });
    return sent.body.text();
  };
  const unmap = { iova: '0x0', size: '0x1000' };
  const callback = { call: 'dma-unmap', container: 'c0', device: 'd0', ...unmap, attempt: 1, round: 1 };
  const unmaps = async () => {
    let ms = 0;
    for (let i = 0; i < REPEATS; i++) {
      await service.calls([...mapLines(1), ...pinLines(1)]);
      const start = performance.now();
      const text = await post(`http://127.0.0.1:${service.port}/v1/containers/c0/unmap-dma`, unmap);
      ms += performance.now() - start;
      const called = (JSON.parse(text) as { invalidations: unknown[] }).invalidations.length;
      if (called !== CALLBACKS) throw new Error(`${called} callbacks: ${text}`);
    }
    return ms / REPEATS;
  };
  const posts = async () => {
    const start = performance.now();
    for (let i = 0; i < REPEATS * (CALLBACKS + 1); i++) await post(url, callback);
    return (performance.now() - start) / REPEATS;
  };
  const { one, other } = await inTurns(ROUNDS, WARM_UP, unmaps, posts);
  await agent.close();
  await service.stop();
  await driver.stop();
  return [
    row('unmap with eleven webhook rounds, of twelve plain POSTs', 'ms', one, other, { atMost: 1.25 }, 2),
  ];
}
