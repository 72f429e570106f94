import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A first word by which a line of a document is a command. */
const COMMAND = /^(cd|curl|docker|kubectl|node|npm|npx|python3|sh|[A-Z_]+=\S+) /;

/** The documents of a folder that are written by hand for who uses it, with their text. */
export function documents(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (file) =>
      (file === 'README.md' || /^(docs|examples|clients|packages)\/.*\.md$/.test(file)) &&
      !file.includes('node_modules') &&
      file !== 'docs/ARCHITECTURE.md',
  );
  return new Map(files.sort().map((file) => [file, readFileSync(join(folder, file), 'utf8')]));
}

/** The blocks of shell of a document. */
export function blocks(document: string): string[] {
  return [...document.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block]) => block!);
}

/** The commands of a block: lines, with those that go on after a backslash. */
export function commands(block: string): string[] {
  return block
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** The commands that a document shows indented, one after the other. */
export function indented(document: string): string[] {
  const prose = document.replaceAll(/^```.*?^```$/gms, '');
  const shown = [...prose.matchAll(/(?<=\n\n)(?: {4}.*\n)+/g)].map(([block]) => block.replace(/^ {4}/gm, ''));
  return shown.flatMap(commands).filter((line) => COMMAND.test(`${line} `));
}
