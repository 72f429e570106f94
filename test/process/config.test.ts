import { expect, test } from 'vitest';
import { DEFAULT_CONFIG, readConfig } from '../../src/config.ts';

test('without settings the defaults hold', () => {
  expect(readConfig([], {})).toEqual(DEFAULT_CONFIG);
});

test('a flag wins over the environment', () => {
  const config = readConfig(['--port', '9001', '--kernel=7.2'], { PORT: '9000', LOG_LEVEL: 'debug' });
  expect([config.port, config.kernel, config.logLevel]).toEqual([9001, '7.2', 'debug']);
});

test.each([
  [['--panic-on-warn'], {}, true],
  [['--panic-on-warn', '--port', '1'], {}, true],
  [['--panic-on-warn', 'false'], {}, false],
  [['--panic-on-warn=1'], {}, true],
  [[], { PANIC_ON_WARN: 'true' }, true],
  [[], { PANIC_ON_WARN: '1' }, true],
  [['--panic-on-warn', '0'], { PANIC_ON_WARN: '1' }, false],
])('panic-on-warn by %j and %j is %s', (args, env, value) => {
  expect(readConfig(args, env).panicOnWarn).toBe(value);
});

test.each([
  [['--nope'], {}, "Unknown option '--nope'"],
  [['stray'], {}, 'Unexpected argument'],
  [[], { PORT: '70000' }, 'PORT is "70000", but must be an integer from 0 to 65535'],
  [[], { PORT: '8080.5' }, 'PORT is "8080.5", but must be an integer'],
  [['--log-level', 'loud'], {}, '--log-level is "loud", but must be one of trace, debug'],
  [[], { PANIC_ON_OOPS: 'yes' }, 'PANIC_ON_OOPS is "yes", but must be "true" or "false"'],
  [[], { KERNEL: '4.4' }, 'KERNEL is "4.4", but must be one of 5.10, 6.1, 6.12, 7.2'],
  [
    [],
    { WEBHOOK_ALLOW: '10.0.0.0/40' },
    'WEBHOOK_ALLOW is "10.0.0.0/40", but must be a comma-separated list',
  ],
])('%j and %j are refused', (args, env, words) => {
  expect(() => readConfig(args, env)).toThrow(words);
});
