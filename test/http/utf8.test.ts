import { expect, test } from 'vitest';
import { Utf8 } from '../../routes/utf8.ts';
import { useRig } from '../harness/http-rig.ts';

const rig = useRig();

const text = 'aé€😀\u{10ffff}\ufeff\ufffdz';

test('a text is whole wherever its bytes are cut', () => {
  const bytes = Buffer.from(text);
  for (let a = 0; a <= bytes.length; a++) {
    for (let b = a; b <= bytes.length; b++) {
      const utf8 = new Utf8();
      const pieces = [bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)];
      expect(pieces.map((piece) => utf8.write(piece)).join('')).toBe(text);
      utf8.end();
    }
  }
});

const WRONG: [string, number[]][] = [
  ['a byte that is never one', [0xff]],
  ['a continuation alone', [0x80]],
  ['an overlong slash', [0xc0, 0xaf]],
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['more than there are', [0xf4, 0x90, 0x80, 0x80]],
  ['half of a character', [0xe2, 0x82]],
];

test.each(WRONG)('%s is refused wherever the bytes are cut', (_what, wrong) => {
  for (const after of ['', 'z']) {
    const bytes = Buffer.concat([Buffer.from('a'), Buffer.from(wrong), Buffer.from(after)]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const utf8 = new Utf8();
      const read = () => {
        utf8.write(bytes.subarray(0, cut));
        utf8.write(bytes.subarray(cut));
        utf8.end();
      };
      expect(read).toThrow('the body is not UTF-8');
    }
  }
});

/** A body with one byte in it that is no UTF-8. */
const spoiled = (before: string, after: string) =>
  Buffer.concat([Buffer.from(before), Buffer.from([0xff]), Buffer.from(after)]);

async function answered(url: string, payload: Buffer, type = 'application/json') {
  return rig.app.inject({ method: 'POST', url, headers: { 'content-type': type }, payload });
}

test.each([
  ['short', ''],
  ['long', ' '.repeat(300_000)],
])('a %s body that is not UTF-8 is refused, and nothing is made', async (_what, space) => {
  const { statusCode, body } = await answered('/v1/containers', spoiled(`{"container":"${space}`, '"}'));
  expect([statusCode, JSON.parse(body).detail]).toEqual([400, 'the body is not UTF-8']);
  expect((await rig.http('GET', '/v1')).body).toMatchObject({ counts: { containers: 0 } });
});

test('a batch ends where it is no text, and says so in its last line', async () => {
  const line = '{"call":"open-container"}\n';
  const { body } = await answered('/v1/batch', spoiled(line, `\n${line}`), 'application/x-ndjson');
  const lines = body
    .trim()
    .split('\n')
    .map((each) => JSON.parse(each));
  expect(lines.at(-1)).toMatchObject({ status: 400, body: { detail: 'the body is not UTF-8' }, ended: true });
});

test.each([
  ['/v1/replay', ''],
  ['/v1/replay', ' '.repeat(300_000)],
  ['/v1/setup', ''],
  ['/v1/setup', ' '.repeat(300_000)],
])('POST %s as lines that are no text is refused in words', async (url, space) => {
  const { body } = await answered(
    url,
    spoiled(`{"call":"open-container"}${space}\n`, '\n'),
    'application/x-ndjson',
  );
  expect(body).toContain('the body is not UTF-8');
  expect((await rig.http('GET', '/v1')).body).toMatchObject({ counts: { containers: 0 } });
});
