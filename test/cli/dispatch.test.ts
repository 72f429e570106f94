import { describe, expect, test } from 'vitest';
import { didYouMean } from '../../src/arguments.ts';
import { dispatch } from '../../src/cli/commands.ts';
import { readConfig } from '../../src/config.ts';

const COMMANDS = [
  'serve',
  'demo',
  'replay',
  'compare',
  'verdict',
  'explore',
  'fuzz',
  'minimize',
  'run',
  'record',
];

/** Does what a command line says; what it printed to stdout, and its exit code. */
async function done(...args: string[]): Promise<{ code: number | null; text: string }> {
  const lines: string[] = [];
  const terminal = { isTTY: false, write: () => true } as unknown as NodeJS.WriteStream;
  const code = await dispatch(args, {
    out: (line) => lines.push(line),
    err: (line) => lines.push(`stderr: ${line}`),
    terminal,
  });
  return { code, text: lines.join('\n') };
}

describe('help', () => {
  test.each([['--help'], ['-h'], ['help']])('%s names every command and every setting', async (word) => {
    const { code, text } = await done(word);
    expect(code).toBe(0);
    for (const command of COMMANDS) expect(text).toMatch(new RegExp(`^  ${command} +\\S`, 'm'));
    for (const flag of ['--port', '--port-file', '--seed-file', '--kernel'])
      expect(text).toContain(`${flag} VALUE`);
    expect(text).not.toMatch(/\n$|undefined/);
  });

  test.each(COMMANDS)(
    'of %s says how it is used, its options and exit codes, however it is asked for',
    async (name) => {
      const { code, text } = await done('help', name);
      expect(code).toBe(0);
      expect(text).toMatch(new RegExp(`^usage: vfio-host \\[?${name}`));
      expect(text).toMatch(/^exit codes: .*64 bad usage/m);
      for (const ask of ['-h', '--help']) expect(await done(name, ask)).toEqual({ code, text });
      expect(await done(name, '--kernel', '7.2', '-h')).toEqual({ code, text });
    },
  );

  test('of the settings is that of serve, where no command is named', async () => {
    expect(await done('--kernel', '7.2', '--help')).toEqual(await done('help', 'serve'));
  });

  test('after -- is for the program that is run', async () => {
    await expect(done('run', '--bogus', '--', 'true', '--help')).rejects.toThrow("Unknown option '--bogus'");
  });

  test.each([['--version'], ['-v']])('%s is the version', async (word) => {
    const { code, text } = await done(word);
    expect([code, text]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+/)]);
  });
});

describe('what there is none of', () => {
  test.each([
    [['repaly'], '"repaly" is no command; did you mean "replay"?'],
    [['hepl'], '"hepl" is no command; did you mean "help"?'],
    [
      ['frobnicate'],
      '"frobnicate" is no command: there are serve, demo, replay, compare, verdict, explore, fuzz, minimize, run, record',
    ],
    [['constructor'], '"constructor" is no command'],
    [['help', 'comapre'], 'did you mean "compare"?'],
    [['help', 'replay', 'compare'], 'help is of one command'],
    [['--kernal', '7.2'], `Unknown option '--kernal'; did you mean "--kernel"?`],
    [['serve', '--prot=1'], `Unknown option '--prot'; did you mean "--port"?`],
    [['serve', '--max-container', '1'], `did you mean "--max-containers"?`],
    [['serve', '--zzzzzzzz', '1'], /^Unknown option '--zzzzzzzz'$/],
    [['replay', 'x.json', '--ulr', 'x'], `did you mean "--url"?`],
    [['compare', 'x.json', '--jsno'], `did you mean "--json"?`],
    [['run', '--devise', 'x', '--', 'true'], `did you mean "--device"?`],
    [['demo', '--prot', '1'], `did you mean "--port"?`],
    [['demo', '--port', '65536'], '--port: "65536" is not an integer from 0 to 65535'],
    [['demo', '--kernel', '2.4'], '--kernel: "2.4" is not one of'],
  ])('%j is refused with what may be meant', async (args, words) => {
    await expect(done(...args)).rejects.toThrow(words);
  });

  test('what is far from everything is not guessed at', () => {
    expect(didYouMean('x', ['serve', 'run'])).toBe('');
    expect(didYouMean('', ['run'])).toBe('');
    expect(didYouMean('run', [])).toBe('');
  });
});

test('the file for the port is a setting like the others', () => {
  expect(readConfig(['--port-file', 'p'], {}).portFile).toBe('p');
  expect(readConfig([], { PORT_FILE: 'q' }).portFile).toBe('q');
});
