import { styleText } from 'node:util';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { paintFor } from '../../src/cli/paint.ts';
import { prettyLine, prettyStream } from '../../src/cli/pretty.ts';
import { DEFAULT_CONFIG } from '../../src/config.ts';
import { startRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';

const plain = (_style: unknown, text: string) => text;

/** A line of pino's, as it is shown without colours, and without its time. */
function shown(log: (logger: pino.Logger) => void): string {
  let text = '';
  log(pino({ level: 'trace' }, { write: (line) => (text = prettyLine(line, plain)) }));
  expect(text).toMatch(/^\d\d:\d\d:\d\d /);
  return text.slice('00:00:00 '.length);
}

test('a line has its level, its message and its fields', () => {
  expect(shown((log) => log.info({ container: 'c0', attempt: 3 }, 'something'))).toBe(
    'INFO  something container=c0 attempt=3',
  );
  expect(shown((log) => log.warn('careful'))).toBe('WARN  careful');
  expect(shown((log) => log.child({ rig: 'default' }).debug('x'))).toBe('DEBUG x');
  expect(shown((log) => log.child({ rig: 'night' }).debug('x'))).toBe('DEBUG x rig=night');
});

test('a configuration is what differs from the default one', () => {
  const config = { ...DEFAULT_CONFIG, port: 0, kernel: '7.2' };
  expect(shown((log) => log.info({ config, version: '1.2.3' }, 'starting'))).toBe(
    'INFO  starting port=0 kernel=7.2 version=1.2.3',
  );
});

test('what is long is cut, what is nothing left out, and an error has its stack', () => {
  expect(shown((log) => log.info({ long: 'x'.repeat(500), none: null }, 'm'))).toBe(
    `INFO  m long=${'x'.repeat(120)}…`,
  );
  expect(shown((log) => log.info({ object: { a: [1] } }, 'm'))).toBe('INFO  m object={"a":[1]}');
  expect(shown((log) => log.error({ err: new Error('why') }, 'failed'))).toMatch(
    /^ERROR failed \nError: why\n +at /,
  );
});

test('a BUG is said with its condition, and the pins by their holders', async () => {
  const rig = await startRig();
  await rig.container(synthetic('ignore'));
  await rig.bug();
  await rig.close();
  const line = rig.lines.find(({ level }) => level === 60);
  const text = prettyLine(JSON.stringify(line), plain);
  expect(text).toContain('FATAL kernel BUG at drivers/vfio/vfio_iommu_type1.c:1481!');
  expect(text).toContain('container=c0');
  expect(text).toContain('pins=0x10000(d0)');
  expect(text).toContain('BUG_ON(++retries > 10) in vfio_dma_do_unmap()');
  expect(text).not.toMatch(/\{|undefined/);
});

test('colours are for terminals, and not for whoever wants none', () => {
  expect(paintFor({ isTTY: true }, {})).toBe(styleText);
  for (const paint of [
    paintFor({ isTTY: false }, {}),
    paintFor({}, {}),
    paintFor({ isTTY: true }, { NO_COLOR: '1' }),
  ]) {
    expect(paint('red', 'text')).toBe('text');
  }
});

test('a stream gets a line for each', () => {
  const written: string[] = [];
  const log = pino({}, prettyStream({ write: (text) => written.push(text) }));
  log.info('one');
  log.info('two');
  expect(written.map((line) => line.endsWith('\n'))).toEqual([true, true]);
});
