import { beforeEach, describe, expect, expectTypeOf, test } from 'vitest';
import { startVfioHost, VfioHostClient, vfioMatchers } from '../../src/client/index.ts';
import { useRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const rig = useRig();
let client: VfioHostClient;
beforeEach(async () => {
  client = await rig.listen();
});

describe('a URL that is none', () => {
  test.each(['127.0.0.1:8080', 'localhost:8080', '', 'ftp://127.0.0.1/'])('%j fails at once', (url) => {
    expect(() => new VfioHostClient({ url })).toThrow(TypeError);
    expect(() => new VfioHostClient({ url })).toThrow(
      `url is ${JSON.stringify(url)}, but must be an http or https URL`,
    );
  });
});

describe('startVfioHost', () => {
  test('a program that ends before it listens is told with what it wrote', async () => {
    const command = [process.execPath, '-e', 'console.error("no such option"); process.exit(64)', '--'];
    await expect(startVfioHost({ command })).rejects.toThrow(
      'vfio-host ended with 64 before it listened: no such option',
    );
  });

  test('a program that is not there is told', async () => {
    await expect(startVfioHost({ command: ['/nothing/there'] })).rejects.toThrow('ENOENT');
  });
});

describe('a setup and its verdict', () => {
  const mappings = [{ iova: 0, vaddr: 0, size: 4096, flags: ['read' as const] }];
  const device = { container: 'c0', driver: { type: 'mtty' as const } };
  const document = { containers: [{ container: 'c0', mappings }], devices: [device] };

  test('setup makes what the document says, and nothing where it is refused', async () => {
    expect(await client.setup(document)).toMatchObject({ rig: 'default', containers: ['c0'] });
    const refused = { ...document, devices: [device, { ...device, container: 'none' }] };
    await expect(client.setup(refused)).rejects.toMatchObject({ problem: { at: 'devices/1/container' } });
    expect(await client.container('c0').get()).toMatchObject({ container: 'c0' });
  });

  test('verdict answers also what is not ok; what it is asked wrongly is refused', async () => {
    await client.setup(document);
    expect(await client.verdict()).toMatchObject({ ok: false, findings: [{ check: 'mappings' }] });
    expect(await client.verdict('mappings')).toMatchObject({ ok: true });
    await expect(client.verdict('nonsense')).rejects.toMatchObject({ status: 400 });
  });
});

describe('matchers', () => {
  test('toHavePinned compares pages however they are written, and names both', async () => {
    await rig.pinned(synthetic('ignore'));
    const c0 = client.container('c0');
    expect(await vfioMatchers.toHavePinned(c0, ['0x10000'])).toMatchObject({ pass: true });
    expect(await vfioMatchers.toHavePinned(c0, [65536n])).toMatchObject({ pass: true });
    const { pass, message } = await vfioMatchers.toHavePinned(c0, [0x15000]);
    expect([pass, message()]).toEqual([false, 'pinned in c0: 0x10000\nexpected: 0x15000']);
    expect(await vfioMatchers.toHavePinned(c0, [])).toMatchObject({ pass: false });
  });

  test('toHaveNoSplats names the splat', async () => {
    await rig.pinned(synthetic('ignore'));
    expect(await vfioMatchers.toHaveNoSplats(client)).toMatchObject({ pass: true });
    await client
      .container('c0')
      .unmapDma({ iova: 0x10000, size: 0x10000 })
      .catch(() => {});
    const { pass, message } = await vfioMatchers.toHaveNoSplats(client);
    expect(pass).toBe(false);
    expect(message()).toContain('BUG_ON(++retries > 10) in vfio_dma_do_unmap');
    expect(await vfioMatchers.toHaveVerdictOk(client)).toMatchObject({ pass: false });
  });

  test('toBeRefusedWith tells an errno from success and from another', async () => {
    await client.openContainer({ container: 'c0' });
    const call = () => client.container('c0').setIommu({ type: 'type1v2' });
    expect(await vfioMatchers.toBeRefusedWith(call(), 'EINVAL')).toMatchObject({ pass: true });
    const other = await vfioMatchers.toBeRefusedWith(call(), 'EPERM');
    expect([other.pass, other.message()]).toEqual([false, 'the call was answered EINVAL, expected EPERM']);
    const fine = await vfioMatchers.toBeRefusedWith(client.openContainer({}), 'EINVAL');
    expect(fine.pass).toBe(false);
  });
});

test('an event is typed by its kind', () => {
  const typed = () => client.events.wait({ kind: 'splat' });
  expectTypeOf<Awaited<ReturnType<typeof typed>>['splat']['kind']>().toEqualTypeOf<string>();
});
