// What `npm run build` does after the compiler: the program in a few files. Some 700 modules, read one by one, are most of
// the time that it takes to start. What is imported when it is wanted stays a file of its own.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The folder the compiler wrote to. */
const folder = process.env.BUILT ?? 'dist';

/** Where the licences are said of the packages that are part of the program. */
const NOTICES = join(folder, 'THIRD-PARTY-LICENSES.txt');

const notices = {
  name: 'notices',
  generateBundle() {
    const packages = new Set([...this.getModuleIds()].flatMap(packageOf));
    writeFileSync(NOTICES, [...packages].sort().map(notice).join('\n'));
  },
};

/** The folder of the package that a module is of; none of the program's own. */
function packageOf(id) {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^@./][^/]*/.exec(id) ?? [];
}

/** What a package says of its licence. */
function notice(at) {
  const { name, version, license } = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8'));
  const file = readdirSync(at).find((each) => /^licen[cs]e(\.\w+)?$/i.test(each));
  const text = file ? readFileSync(join(at, file), 'utf8').trim() : `${license}`;
  return `${name} ${version}\n\n${text}\n\n${'-'.repeat(80)}\n`;
}

export default {
  input: join(folder, 'src', 'main.js'),
  platform: 'node',
  plugins: [notices],
  external: [/^node:/],
  output: {
    dir: join(folder, 'src'),
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
  },
};
