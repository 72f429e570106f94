import { expect, test } from 'vitest';
import { DEFAULT_WEBHOOK_ALLOW, WebhookAllow } from '../../src/webhook/allow.ts';
import { WebhookCaller } from '../../src/webhook/caller.ts';
import { freePort } from '../harness/driver-server.ts';

async function reasonFor(inContainer: boolean, host: string): Promise<string> {
  const caller = new WebhookCaller(new WebhookAllow(DEFAULT_WEBHOOK_ALLOW), inContainer);
  const request = { url: `http://${host}:${await freePort()}/`, timeoutMs: 5000, payload: {} };
  const outcome = await caller.call(request, new AbortController().signal);
  await caller.close();
  return outcome.ok ? '' : outcome.reason;
}

test.for(['127.0.0.1', 'localhost'])(
  'a refused %s inside a container names host.docker.internal',
  async (host) => {
    expect(await reasonFor(true, host)).toMatch(
      /ECONNREFUSED.*this container itself.*host\.docker\.internal/,
    );
  },
);

test('a refused loopback outside a container says just that', async () => {
  expect(await reasonFor(false, '127.0.0.1')).not.toMatch(/docker/);
});

test.for([
  ['127.0.0.1', true],
  ['10.1.2.3', true],
  ['172.31.255.255', true],
  ['172.32.0.0', false],
  ['192.168.0.1', true],
  ['169.254.169.254', false],
  ['8.8.8.8', false],
  ['::1', true],
  ['fd00::1', true],
  ['2001:db8::1', false],
  ['::ffff:10.0.0.1', true],
  ['::ffff:8.8.8.8', false],
] as const)('by default %s is permitted: %s', ([address, permitted]) => {
  expect(new WebhookAllow(DEFAULT_WEBHOOK_ALLOW).allowsAddress(address)).toBe(permitted);
});

test.for(['10.0.0.0/33', 'ftp://x', 'http://x/path', 'driver', '10.0.0.0/8/8'])(
  'an allow list with "%s" is refused',
  (entry) => {
    expect(() => new WebhookAllow(entry)).toThrow(`"${entry}"`);
  },
);
