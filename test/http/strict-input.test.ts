import { beforeEach, describe, expect, test } from 'vitest';
import { type Answer, ok, useOneRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';
import { synthetic } from '../harness/test-rig.ts';

const BODY_LIMIT = 4096;
const JSON_TYPE = { 'content-type': 'application/json' };

const rig = useOneRig({ bodyLimit: BODY_LIMIT, replayBodyLimit: 2 * BODY_LIMIT });
beforeEach(async () => {
  await ok(rig.post('reset'));
  await rig.container(synthetic('unpin-range'));
  await rig.map('0x10000', '0x1000');
  await rig.pin('0x10000');
});

/** Makes a request that must be refused and must change nothing. */
async function refused(request: () => Promise<Answer>): Promise<Answer> {
  const before = await rig.state();
  const answer = await request();
  expect(await rig.state()).toEqual(before);
  return answer;
}

describe('64-bit exactness', () => {
  test('read-memory and write-memory reach the last byte of the address space and no other', async () => {
    await ok(rig.post('processes/p0/write-memory', { vaddr: '0xffffffffffffffff', data: 'Kg==' }));
    const last = await ok(rig.post('processes/p0/read-memory', { vaddr: '0xFFFFFFFFFFFFFFFE', length: 2 }));
    expect(last.data).toBe(Buffer.from([0, 0x2a]).toString('base64'));
  });

  test.each([
    ['0xffffffffffffffff', '0xffffffffffffffff'],
    ['0xFFFFFFFFFFFFFFFF', '0xffffffffffffffff'],
    ['0x0000000000000ABC', '0xabc'],
    ['0x0', '0x0'],
    ['0x001fffffffffffff', '0x1fffffffffffff'],
    ['0x20000000000001', '0x20000000000001'],
    [2 ** 53 - 1, '0x1fffffffffffff'],
    [2 ** 53 - 2, '0x1ffffffffffffe'],
    [0, '0x0'],
    [4096, '0x1000'],
  ])('set-memlock of %j is shown as %s', async (bytes, shown) => {
    await ok(rig.post('processes/p0/set-memlock', { bytes }));
    expect((await rig.get('processes/p0')).body.memlock).toBe(shown);
  });

  test('map-dma answers the shortest lower-case form of what came in upper case with leading zeros', async () => {
    const answer = await ok(
      rig.post('containers/c0/map-dma', {
        iova: '0x00FEDCBA98765000',
        vaddr: '0xABCDEF0000',
        size: '0x0000000000001000',
        flags: 3,
      }),
    );
    expect(answer).toEqual({ iova: '0xfedcba98765000', size: '0x1000' });
    const { mappings } = (await rig.get('containers/c0/mappings')).body;
    expect(mappings[1]).toMatchObject({ iova: '0xfedcba98765000', vaddr: '0xabcdef0000', size: '0x1000' });
  });

  test('a mapping of almost the whole address space keeps its exact size', async () => {
    await ok(rig.post('containers/c0/unmap-dma', { iova: '0x10000', size: '0x1000' }));
    const whole = { iova: '0x1000', size: '0xffffffffffffe000' };
    expect(await ok(rig.post('containers/c0/map-dma', { ...whole, vaddr: 0, flags: 3 }))).toEqual(whole);
    const { size } = await ok(rig.post('containers/c0/unmap-dma', whole));
    expect(size).toBe(whole.size);
  });

  test('pins just above 2^53 that differ in their last bit are different pins', async () => {
    await rig.map('0x20000000000000', '0x1000');
    for (const iova of ['0x20000000000000', '0x20000000000001']) {
      expect((await rig.pin(iova)).pages[0].iova).toBe(iova);
    }
    const { pins } = (await rig.get('containers/c0/pins')).body;
    expect(pins.map((p: { iova: string }) => p.iova)).toEqual([
      '0x10000',
      '0x20000000000000',
      '0x20000000000001',
    ]);
  });

  test('unmap-dma names invalidations near the top of the address space exactly', async () => {
    await rig.map('0xffffffffffff1000', '0x2000');
    await rig.pin('0xffffffffffff2000');
    const { invalidations, size } = await ok(
      rig.post('containers/c0/unmap-dma', { iova: '0xffffffffffff1000', size: '0x2000' }),
    );
    expect({ invalidations, size }).toEqual({
      invalidations: [{ device: 'd0', iova: '0xffffffffffff1000', length: '0x2000' }],
      size: '0x2000',
    });
  });

  test('a refusal names a 64-bit value exactly', async () => {
    const answer = await rig.post('containers/c0/map-dma', {
      iova: '0xFFFFFFFFFFFFFFFF',
      vaddr: 0,
      size: 4096,
      flags: 3,
    });
    expectProblem(answer, { status: 422, errno: 'EINVAL', errnoNumber: 22, detail: ['0xffffffffffffffff'] });
  });
});

const MAP = { iova: '0x20000', vaddr: '0x20000', size: '0x1000', flags: 3 };
const PIN = { iova: '0x10000', npage: 1, prot: 3 };
const ADDRESS_RULE = '0x… of 1 to 16 hex digits, or an integer from 0 to 2^53-1';

describe('a body that breaks the schema is refused with 400', () => {
  /** Operation and condition, path, body, what `detail` names. */
  const cases: [string, string, unknown, (string | RegExp)[]][] = [
    [
      'map-dma with a field too many',
      'containers/c0/map-dma',
      { ...MAP, extra: 1 },
      ['extra', 'not a known field'],
    ],
    [
      'map-dma with the call in its body',
      'containers/c0/map-dma',
      { ...MAP, call: 'unmap-dma' },
      ['body/call'],
    ],
    [
      'map-dma with the id in its body',
      'containers/c0/map-dma',
      { ...MAP, container: 'c0' },
      ['body/container'],
    ],
    [
      'map-dma without size',
      'containers/c0/map-dma',
      { iova: 0, vaddr: 0, flags: 3 },
      ['size', 'missing', ADDRESS_RULE],
    ],
    [
      'map-dma with a decimal string',
      'containers/c0/map-dma',
      { ...MAP, iova: '4096' },
      ['iova', '"4096"', ADDRESS_RULE],
    ],
    [
      'map-dma with 17 hex digits',
      'containers/c0/map-dma',
      { ...MAP, iova: '0x10000000000000000' },
      ['"0x10000000000000000"', ADDRESS_RULE],
    ],
    [
      'map-dma with no hex digit',
      'containers/c0/map-dma',
      { ...MAP, size: '0x' },
      ['size', '"0x"', ADDRESS_RULE],
    ],
    [
      'map-dma with the prefix 0X',
      'containers/c0/map-dma',
      { ...MAP, size: '0X1000' },
      ['"0X1000"', ADDRESS_RULE],
    ],
    [
      'map-dma with a line feed after the digits',
      'containers/c0/map-dma',
      { ...MAP, size: '0x1000\n' },
      ['size', ADDRESS_RULE],
    ],
    [
      'map-dma with a blank before the digits',
      'containers/c0/map-dma',
      { ...MAP, size: ' 0x1000' },
      ['size', ADDRESS_RULE],
    ],
    [
      'map-dma with a negative iova',
      'containers/c0/map-dma',
      { ...MAP, iova: -4096 },
      ['iova', '-4096', ADDRESS_RULE],
    ],
    [
      'map-dma with a fraction',
      'containers/c0/map-dma',
      { ...MAP, iova: 0.5 },
      ['iova', '0.5', ADDRESS_RULE],
    ],
    [
      'map-dma with 2^53 as a number',
      'containers/c0/map-dma',
      { ...MAP, iova: 2 ** 53 },
      ['iova', '9007199254740992', ADDRESS_RULE],
    ],
    [
      'map-dma with true for an address',
      'containers/c0/map-dma',
      { ...MAP, vaddr: true },
      ['vaddr', 'true', ADDRESS_RULE],
    ],
    [
      'map-dma with null for an address',
      'containers/c0/map-dma',
      { ...MAP, vaddr: null },
      ['vaddr', 'null', ADDRESS_RULE],
    ],
    [
      'map-dma with an array for an address',
      'containers/c0/map-dma',
      { ...MAP, vaddr: [0] },
      ['vaddr', '[0]', ADDRESS_RULE],
    ],
    [
      'map-dma with a flag name nobody knows',
      'containers/c0/map-dma',
      { ...MAP, flags: ['read', 'exec'] },
      ['flags', 'exec', '"read"', '"write"', '"vaddr"'],
    ],
    [
      'map-dma with a flag name in capitals',
      'containers/c0/map-dma',
      { ...MAP, flags: ['READ'] },
      ['flags', 'READ', '"read"'],
    ],
    [
      'map-dma with a flag name twice',
      'containers/c0/map-dma',
      { ...MAP, flags: ['read', 'read'] },
      ['flags', '"read"'],
    ],
    [
      'map-dma with one flag name as a string',
      'containers/c0/map-dma',
      { ...MAP, flags: 'read' },
      ['flags', '"read"'],
    ],
    [
      'map-dma with raw flags of 33 bits',
      'containers/c0/map-dma',
      { ...MAP, flags: 2 ** 32 },
      ['flags', '4294967296', '32-bit unsigned'],
    ],
    [
      'map-dma with negative raw flags',
      'containers/c0/map-dma',
      { ...MAP, flags: -1 },
      ['flags', '-1', '32-bit unsigned'],
    ],
    [
      'map-dma with raw flags in hex',
      'containers/c0/map-dma',
      { ...MAP, flags: '0x3' },
      ['flags', '"0x3"', '32-bit unsigned'],
    ],
    [
      'unmap-dma with a map flag',
      'containers/c0/unmap-dma',
      { iova: 0, size: 4096, flags: ['read'] },
      ['flags', '"read"', '"get-dirty-bitmap"', '"all"', '"vaddr"'],
    ],
    [
      'dirty-flags with flag names',
      'containers/c0/dirty-flags',
      { flags: ['start'] },
      ['flags', '32-bit unsigned'],
    ],
    [
      'dirty-get without pageSize',
      'containers/c0/dirty-get',
      { iova: 0, size: 4096 },
      ['pageSize', 'missing'],
    ],
    [
      'set-iommu with a type name nobody knows',
      'containers/c0/set-iommu',
      { type: 'type2' },
      ['type', '"type2"', '"type1v2"'],
    ],
    [
      'set-iommu with a type beyond what a number holds exactly',
      'containers/c0/set-iommu',
      { type: 2 ** 53 },
      ['type', '9007199254740992'],
    ],
    [
      'check-extension with a number as a string',
      'containers/c0/check-extension',
      { extension: '1' },
      ['extension', '"1"', 'unsigned long'],
    ],
    ['check-extension without extension', 'containers/c0/check-extension', {}, ['extension', 'missing']],
    [
      'pin-pages with npage above 2^31-1',
      'devices/d0/pin-pages',
      { ...PIN, npage: 2 ** 31 },
      ['npage', '2147483648', '32-bit signed'],
    ],
    [
      'pin-pages with npage below -2^31',
      'devices/d0/pin-pages',
      { ...PIN, npage: -(2 ** 31) - 1 },
      ['npage', '-2147483649', '32-bit signed'],
    ],
    [
      'pin-pages with npage as a string',
      'devices/d0/pin-pages',
      { ...PIN, npage: '1' },
      ['npage', '"1"', '32-bit signed'],
    ],
    [
      'pin-pages with half a page',
      'devices/d0/pin-pages',
      { ...PIN, npage: 1.5 },
      ['npage', '1.5', '32-bit signed'],
    ],
    [
      'pin-pages with the prot vaddr',
      'devices/d0/pin-pages',
      { ...PIN, prot: ['vaddr'] },
      ['prot', '"vaddr"', '"read"', '"write"'],
    ],
    [
      'unpin-pages with a prot',
      'devices/d0/unpin-pages',
      { iova: 0, npage: 1, prot: 3 },
      ['prot', 'not a known field'],
    ],
    [
      'dma-rw with 1 for true',
      'devices/d0/dma-rw',
      { iova: 0, write: 1, length: 1 },
      ['write', '1', 'boolean'],
    ],
    [
      'dma-rw with data that is not base64',
      'devices/d0/dma-rw',
      { iova: 0, write: true, data: 'a$==' },
      ['data', 'a$==', 'base64'],
    ],
    [
      'dma-rw with base64 without padding',
      'devices/d0/dma-rw',
      { iova: 0, write: true, data: 'QQ' },
      ['data', '"QQ"', 'base64', 'padded'],
    ],
    [
      'dma-rw with a byte of 256',
      'devices/d0/dma-rw',
      { iova: 0, write: true, fill: 256, length: 1 },
      ['fill', '256', '0 to 255'],
    ],
    [
      'dma-rw that reads with data',
      'devices/d0/dma-rw',
      { iova: 0, write: false, length: 1, data: '' },
      ['data', 'write'],
    ],
    ['dma-rw that reads without length', 'devices/d0/dma-rw', { iova: 0, write: false }, ['length']],
    ['dma-rw that writes nothing', 'devices/d0/dma-rw', { iova: 0, write: true }, ['data', 'fill']],
    [
      'dma-rw that writes both data and fill',
      'devices/d0/dma-rw',
      { iova: 0, write: true, data: 'QQ==', fill: 1, length: 1 },
      ['data', 'fill'],
    ],
    [
      'dma-rw above the largest transfer',
      'devices/d0/dma-rw',
      { iova: 0, write: false, length: 2 ** 24 + 1 },
      ['length', '16777217', '16777216'],
    ],
    [
      'read-memory with a negative length',
      'processes/p0/read-memory',
      { vaddr: 0, length: -1 },
      ['length', '-1'],
    ],
    [
      'read-memory with length in hex',
      'processes/p0/read-memory',
      { vaddr: 0, length: '0x10' },
      ['length', '"0x10"'],
    ],
    [
      'fill-memory without byte',
      'processes/p0/fill-memory',
      { vaddr: 0, length: 1 },
      ['byte', 'missing', '0 to 255'],
    ],
    [
      'set-memlock with "infinity"',
      'processes/p0/set-memlock',
      { bytes: 'infinity' },
      ['bytes', '"infinity"', '"unlimited"'],
    ],
    [
      'add-memory-region with the prot vaddr',
      'processes/p0/add-memory-region',
      { start: 0, size: 4096, prot: ['vaddr'] },
      ['prot', '"read"'],
    ],
    ['create-process with an id in capitals', 'processes', { process: 'P1' }, ['process', '"P1"', 'a-z 0-9']],
    ['open-container with an empty id', 'containers', { container: '' }, ['container', '""', '1 to 63']],
    [
      'open-container with an id of 64',
      'containers',
      { container: 'a'.repeat(64) },
      ['container', 'aaaa', '1 to 63'],
    ],
    ['open-container with a number as id', 'containers', { container: 1 }, ['container', '1', 'id']],
    [
      'open-container with a slash in its id',
      'containers',
      { container: 'a/b' },
      ['container', '"a/b"', 'a-z 0-9'],
    ],
    [
      'open-container with a dot first',
      'containers',
      { container: '.a' },
      ['container', '".a"', 'letter or digit first'],
    ],
    [
      'open-container with __proto__ as id',
      'containers',
      { container: '__proto__' },
      ['container', '"__proto__"', 'letter or digit first'],
    ],
    ['create-device of a kind nobody knows', 'devices', { kind: 'pci' }, ['kind', '"pci"', '"vfio-pci"']],
    ['create-device of an mdev without driver', 'devices', {}, ['driver', 'missing']],
    [
      'create-device of a vfio-pci with driver',
      'devices',
      { kind: 'vfio-pci', driver: synthetic('ignore') },
      ['driver', 'vfio-pci'],
    ],
    [
      'create-device with an answer nobody knows',
      'devices',
      { driver: synthetic('unpin') },
      ['onDmaUnmap', '"unpin"', '"unpin-range"'],
    ],
    [
      'create-device with a driver field too many',
      'devices',
      { driver: synthetic('ignore', { hold: true }) },
      ['driver/hold', 'not a known field'],
    ],
    [
      'create-device with ignoreFirst below 0',
      'devices',
      { driver: synthetic('unpin-range', { ignoreFirst: -1 }) },
      ['ignoreFirst', '-1'],
    ],
    ['create-device with a driver by name', 'devices', { driver: 'synthetic' }, ['driver', '"synthetic"']],
    ['set-driver without driver', 'devices/d0/set-driver', {}, ['driver', 'missing']],
    ['set-container without container', 'devices/d0/set-container', {}, ['container', 'missing']],
    ['open-device with any field', 'devices/d0/open-device', { force: true }, ['force', 'not a known field']],
    ['attach without device', 'containers/c0/attach', {}, ['device', 'missing']],
    ['set-parameters with a limit below 0', 'set-parameters', { dmaEntryLimit: -1 }, ['dmaEntryLimit', '-1']],
    [
      'set-parameters with "true"',
      'set-parameters',
      { panicOnWarn: 'true' },
      ['panicOnWarn', '"true"', 'boolean'],
    ],
    [
      'set-parameters with a name nobody knows',
      'set-parameters',
      { panic: true },
      ['panic', 'not a known field'],
    ],
    ['reset with a kernel nobody has', 'reset', { kernel: '2.6' }, ['kernel', '"2.6"', '"6.1"']],
    ['reset with a kernel as a number', 'reset', { kernel: 6.1 }, ['kernel', '6.1', 'string']],
  ];
  test.each(cases)('%s', async (_name, path, body, detail) => {
    const answer = await refused(() => rig.post(path, body));
    expectProblem(answer, { status: 400, detail });
  });

  test('set-driver of a vfio-pci device', async () => {
    await ok(rig.post('devices', { device: 'pci', kind: 'vfio-pci' }));
    const answer = await refused(() => rig.post('devices/pci/set-driver', { driver: synthetic('ignore') }));
    expectProblem(answer, { status: 400, detail: ['"pci"', 'synthetic'] });
  });
});

describe('a body that is no JSON object', () => {
  const raw = (payload: string, headers: Record<string, string> = JSON_TYPE) =>
    refused(() => rig.request('POST', '/v1/containers', payload, headers));

  test.each([
    ['broken JSON', '{"container":', ['body', 'JSON']],
    ['two JSON values', '{}{}', ['body', 'JSON']],
    ['a blank only', ' ', ['body', 'JSON']],
    ['NaN', 'NaN', ['body', 'JSON']],
    ['__proto__', '{"__proto__":{"container":"x"}}', ['__proto__', 'not a known field']],
    [
      'constructor.prototype',
      '{"constructor":{"prototype":{}}}',
      ['constructor.prototype', 'not a known field'],
    ],
    ['null', 'null', ['null', 'object']],
    ['an array', '[]', ['[]', 'object']],
    ['a string', '"c1"', ['"c1"', 'object']],
    ['a number', '1', ['1', 'object']],
  ])('open-container with %s is refused with 400', async (_name, payload, detail) => {
    expectProblem(await raw(payload), { status: 400, detail });
  });

  test.each([
    ['2^53+1, which a double rounds', '{"bytes":9007199254740993}', ['bytes', 'an integer from 0 to 2^53-1']],
    ['1e400, which is beyond a double', '{"bytes":1e400}', ['bytes', 'an integer from 0 to 2^53-1']],
  ])('set-memlock with %s is refused with 400', async (_name, payload, detail) => {
    const answer = await refused(() =>
      rig.request('POST', '/v1/processes/p0/set-memlock', payload, JSON_TYPE),
    );
    expectProblem(answer, { status: 400, detail });
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', 'multipart/form-data'])(
    'open-container with the content type %s is refused with 415',
    async (type) => {
      expectProblem(await raw('{}', { 'content-type': type }), {
        status: 415,
        detail: [type, 'application/json'],
      });
    },
  );

  test.each([
    ['no body', undefined, {}],
    ['no body but a JSON content type', '', JSON_TYPE],
    ['an empty object', '{}', JSON_TYPE],
    ['an empty object and a charset', '{}', { 'content-type': 'application/json; charset=utf-8' }],
  ])('open-container with %s takes it as no arguments', async (_name, payload, headers) => {
    const answer = await rig.request('POST', '/v1/containers', payload, headers);
    expect(answer).toMatchObject({ status: 201, body: { process: 'p0' } });
  });

  test('map-dma with no body names the first argument that is missing', async () => {
    const answer = await refused(() => rig.request('POST', '/v1/containers/c0/map-dma'));
    expectProblem(answer, { status: 400, detail: ['iova', 'missing'] });
  });

  test('close-container with a body is refused with 400 and closes nothing', async () => {
    await ok(rig.post('containers', { container: 'c1' }));
    for (const body of [{ container: 'c1' }, { call: 'set-parameters', dmaEntryLimit: 1 }]) {
      const answer = await refused(() => rig.request('DELETE', '/v1/containers/c0', body));
      expectProblem(answer, { status: 400, detail: [Object.keys(body)[0]!, 'not a known field'] });
    }
  });
});

describe('size of a body', () => {
  const padded = (length: number) => `{"kernel":"6.1"${' '.repeat(length - 16)}}`;

  test('reset takes a body of exactly the limit', async () => {
    const answer = await rig.request('POST', '/v1/reset', padded(BODY_LIMIT), JSON_TYPE);
    expect(answer.status).toBe(204);
  });

  test('reset with one byte more is refused with 413 and resets nothing', async () => {
    const answer = await refused(() => rig.request('POST', '/v1/reset', padded(BODY_LIMIT + 1), JSON_TYPE));
    expectProblem(answer, { status: 413, slug: 'too-large', detail: [`${BODY_LIMIT} bytes`] });
  });

  test('replay has a limit of its own', async () => {
    const body = (length: number) => `{"steps":[]${' '.repeat(length - 12)}}`;
    const replay = (length: number) => rig.request('POST', '/v1/replay', body(length), JSON_TYPE);
    expect((await replay(2 * BODY_LIMIT)).status).toBe(200);
    expectProblem(await replay(2 * BODY_LIMIT + 1), { status: 413, detail: [`${2 * BODY_LIMIT} bytes`] });
  });

  test('dirty-get of more than a bitmap can carry answers ranges alone', async () => {
    await ok(rig.post('containers/c0/dirty-start'));
    const range = { iova: 0, size: '0x80000000000', pageSize: 4096 };
    const { dirtyRanges, ...rest } = await ok(rig.post('containers/c0/dirty-get', range));
    expect(dirtyRanges).toEqual(expect.any(Array));
    expect(rest).not.toHaveProperty('bitmap');
  });
});

describe('what the kernel refuses is no schema matter', () => {
  test.each([8, 0x80000003, 0xffffffff, 0, []])('map-dma with raw flags %j: 422 EINVAL', async (flags) => {
    const answer = await refused(() => rig.post('containers/c0/map-dma', { ...MAP, flags }));
    expectProblem(answer, { status: 422, errno: 'EINVAL', errnoNumber: 22, detail: ['flags'] });
  });

  test.each([8, 0xffffffff])('unmap-dma with raw flags %j: 422 EINVAL', async (flags) => {
    const body = { iova: '0x10000', size: '0x1000', flags };
    const answer = await refused(() => rig.post('containers/c0/unmap-dma', body));
    expectProblem(answer, { status: 422, errno: 'EINVAL', detail: ['flags'] });
  });

  test.each([0, 3, 8, 0xffffffff])('dirty-flags with %j: 422 EINVAL', async (flags) => {
    const answer = await refused(() => rig.post('containers/c0/dirty-flags', { flags }));
    expectProblem(answer, { status: 422, errno: 'EINVAL', detail: ['flags'] });
  });

  test('pin-pages with a prot bit no mapping has: 403 EPERM', async () => {
    const answer = await refused(() => rig.post('devices/d0/pin-pages', { ...PIN, prot: 4 }));
    expectProblem(answer, { status: 403, errno: 'EPERM', errnoNumber: 1, detail: ['prot 4'] });
  });

  test('add-memory-region with an unknown prot bit: 422 EINVAL', async () => {
    const region = { start: 0, size: 4096, prot: 4 };
    const answer = await refused(() => rig.post('processes/p0/add-memory-region', region));
    expectProblem(answer, { status: 422, errno: 'EINVAL' });
  });

  test.each([
    [0, 'EINVAL'],
    [-1, 'E2BIG'],
    [-(2 ** 31), 'E2BIG'],
    [513, 'E2BIG'],
    [2 ** 31 - 1, 'E2BIG'],
  ])('pin-pages with npage %j: 422 %s', async (npage, errno) => {
    const answer = await refused(() => rig.post('devices/d0/pin-pages', { ...PIN, npage }));
    expectProblem(answer, { status: 422, errno, detail: [`npage`, String(npage)] });
  });

  test.each([0, -1, -(2 ** 31), 513, 2 ** 31 - 1])('unpin-pages with npage %j: a warning', async (npage) => {
    const answer = await rig.post('devices/d0/unpin-pages', { iova: '0x10000', npage });
    expect(answer).toMatchObject({
      status: 200,
      body: { log: [{ kind: 'WARN_ON', function: 'vfio_unpin_pages' }] },
    });
    expect((await rig.get('containers/c0/pins')).body.pins).toHaveLength(1);
  });
});

describe('ids and routes', () => {
  test.each([
    ['GET', 'containers/C0', '"C0"'],
    ['GET', 'containers/-c', '"-c"'],
    ['GET', `containers/${'a'.repeat(64)}`, 'aaaa'],
    ['GET', `containers/${'a'.repeat(1000)}`, 'aaaa'],
    ['GET', 'containers/c%2f0', '"c/0"'],
    ['GET', 'devices/__proto__', '"__proto__"'],
    ['GET', 'processes/%00', 'process'],
    ['POST', 'containers/C0/map-dma', '"C0"'],
    ['DELETE', 'devices/D0', '"D0"'],
  ])('%s %s, which is no id, is refused with 400', async (method, path, shown) => {
    const body = method === 'POST' ? MAP : undefined;
    const answer = await refused(() => rig.request(method, `/v1/${path}`, body));
    expectProblem(answer, { status: 400, detail: ['params/', shown, 'a-z 0-9'] });
  });

  test('GET of a path that cannot be decoded is refused with 400', async () => {
    const answer = await refused(() => rig.get('containers/%zz'));
    expectProblem(answer, { status: 400, detail: ['%zz'] });
  });

  test.each([
    ['GET', 'containers/c9', undefined, 'container "c9"'],
    ['GET', 'containers/c9/mappings', undefined, 'container "c9"'],
    ['GET', 'containers/c9/pins', undefined, 'container "c9"'],
    ['GET', 'containers/c9/iommu-info', undefined, 'container "c9"'],
    ['GET', 'devices/constructor', undefined, 'device "constructor"'],
    ['GET', 'processes/p9', undefined, 'process "p9"'],
    ['GET', 'operations/op9', undefined, 'operation "op9"'],
    ['POST', 'containers/c9/map-dma', MAP, 'container "c9"'],
    ['POST', 'devices/d9/pin-pages', PIN, 'device "d9"'],
    ['POST', 'processes/p9/read-memory', { vaddr: 0, length: 1 }, 'process "p9"'],
    ['POST', 'containers', { process: 'p9' }, 'process "p9"'],
    ['POST', 'devices/d0/set-container', { container: 'c9' }, 'container "c9"'],
    ['POST', 'containers/c9/attach', { device: 'd0' }, 'container "c9"'],
    ['POST', 'containers/c0/attach', { device: 'd9' }, 'device "d9"'],
    ['POST', 'containers/c0/detach', { device: 'd9' }, 'device "d9"'],
    ['DELETE', 'containers/c9', undefined, 'container "c9"'],
    ['DELETE', 'devices/d9', undefined, 'device "d9"'],
  ])('%s %s, which does not exist, is answered 404 without errno', async (method, path, body, named) => {
    const answer = await refused(() => rig.request(method, `/v1/${path}`, body));
    expectProblem(answer, { status: 404, slug: 'not-found', detail: [named] });
  });

  test.each([
    ['GET', '/v1/nothing'],
    ['GET', '/nothing'],
    ['GET', '/v2/containers'],
    ['POST', '/v1/containers/c0/pin-pages'],
    ['POST', '/v1/containers/c0/map-dma/'],
    ['POST', '/v1/Containers'],
    ['POST', '/v1/containers/c0:map-dma'],
  ])('%s %s, which no route serves, is answered 404 without errno', async (method, url) => {
    const answer = await refused(() => rig.request(method, url));
    expectProblem(answer, { status: 404, slug: 'no-such-route', detail: [method, url] });
  });

  test.each([
    ['PUT', '/v1/containers', 'GET, HEAD, POST'],
    ['PATCH', '/v1/containers/c0', 'DELETE, GET, HEAD'],
    ['GET', '/v1/containers/c0/map-dma', 'POST'],
    ['DELETE', '/v1/containers/c0/map-dma?x=1', 'POST'],
    ['POST', '/v1/containers/c0/iommu-info', 'GET, HEAD'],
    ['DELETE', '/v1/snapshot', 'GET, HEAD, PUT'],
    ['OPTIONS', '/health', 'GET, HEAD'],
    ['POST', '/docs/api/swagger-ui.css', 'GET, HEAD'],
    ['POST', '/', 'GET, HEAD'],
  ])('%s %s, which takes other methods, is answered 405 with those it takes', async (method, url, allow) => {
    const answer = await refused(() => rig.request(method, url));
    expectProblem(answer, { status: 405, slug: 'method-not-allowed', detail: [method, url, allow] });
    expect(answer.headers.allow).toBe(allow);
  });

  test.each([
    ['POST', '/v1/containers?container=c7'],
    ['POST', '/v1/containers/c0/dirty-start?flags=1'],
    ['GET', '/v1/containers/c0?verbose'],
    ['GET', '/v1/containers/c0/iommu-info?argsz=16'],
    ['DELETE', '/v1/devices/d0?force=1'],
    ['GET', '/v1?pretty=1'],
  ])('%s %s, with a query the route does not know, is refused with 400', async (method, url) => {
    const answer = await refused(() => rig.request(method, url));
    expectProblem(answer, { status: 400, detail: ['querystring/', 'not a known field'] });
  });

  test.each([
    ['c', 'a'],
    ['uuid', '83b8f4f2-509f-382f-3c1e-e6bfe0fa1001'],
    ['63 characters', 'z'.repeat(63)],
    ['dots', '0.a_b-c'],
  ])('open-container takes an id of %s', async (_name, container) => {
    expect((await ok(rig.post('containers', { container }))).container).toBe(container);
    expect((await ok(rig.get(`containers/${container}`))).container).toBe(container);
  });

  test('a problem carries the request id that the client chose', async () => {
    const answer = await rig.post('containers/c0/map-dma', {}, { 'x-request-id': 'mine-7' });
    expectProblem(answer, { status: 400 });
    expect(answer.body.instance).toBe('mine-7');
  });

  test('problems of different requests have different instances', async () => {
    const first = await rig.get('containers/c9');
    const second = await rig.get('containers/c9');
    expect(first.body.instance).not.toBe(second.body.instance);
  });
});

test('no request without a body is answered 5xx, whatever route takes one', async () => {
  const { paths } = (await rig.app.inject('/openapi.json')).json() as {
    paths: Record<string, Record<string, object>>;
  };
  const asked = Object.entries(paths).flatMap(([path, methods]) =>
    ['POST', 'PUT']
      .filter((method) => method.toLowerCase() in methods)
      .map((method) => [method, path.replaceAll(/\{\w+\}/g, 'none')] as const),
  );
  expect(asked.length).toBeGreaterThan(50);
  for (const [method, path] of asked) {
    const { status } = await rig.request(method, path);
    expect(status, `${method} ${path}`).toBeLessThan(500);
  }
  expectProblem(await rig.request('POST', '/v1/replay'), { status: 400, detail: ['body/steps', 'missing'] });
});
