import { cpSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Clone } from './clone.ts';

/** One instruction of a Dockerfile: its name, and what stands behind it on one line. */
type Instruction = readonly [name: string, rest: string];

/** The stages of a Dockerfile, each with its instructions; the last one is the image. */
function stages(dockerfile: string): Map<string, Instruction[]> {
  const found = new Map<string, Instruction[]>();
  let stage: Instruction[] = [];
  for (const line of dockerfile
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')) {
    const [, name, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (!name) continue;
    if (name === 'FROM') {
      stage = [];
      found.set(/ AS (\S+)/.exec(rest!)?.[1] ?? 'image', stage);
    } else {
      stage.push([name, rest!.trim()]);
    }
  }
  return found;
}

/** What a Dockerfile's context has at its top: .dockerignore leaves out all but what it names. */
function context(dockerignore: string): Set<string> {
  const [all, ...named] = dockerignore.trim().split('\n');
  if (all !== '*') throw new Error(`.dockerignore begins with ${all}, not with *`);
  return new Set(named.map((line) => line.replace(/^!/, '')));
}

/**
 * Makes what docker would make of a clone's Dockerfile, in a folder for each stage's root, without docker: the COPY and RUN
 * of each stage in order, but for what apt-get brings and the `npm ci` that the clone has had. Answers the image's root.
 */
export function buildImage(clone: Clone, into: string): string {
  const inContext = context(readFileSync(join(clone.folder, '.dockerignore'), 'utf8'));
  const dockerfile = stages(readFileSync(join(clone.folder, 'Dockerfile'), 'utf8'));
  let root = '';
  for (const [stage, instructions] of dockerfile) {
    root = join(into, stage);
    mkdirSync(join(root, 'usr/local/bin'), { recursive: true });
    let folder = root;
    for (const [name, rest] of instructions) {
      if (name === 'WORKDIR') folder = join(root, rest);
      if (name === 'COPY') copy(rest, folder);
      if (name === 'RUN') run(rest, folder);
    }
  }
  return root;

  function copy(rest: string, folder: string): void {
    const words = rest.split(/\s+/);
    const from = words[0]!.startsWith('--from=') ? words.shift()!.slice('--from='.length) : null;
    const to = words.pop()!;
    const target = to.startsWith('/') ? join(root, to) : join(folder, to);
    for (const source of words) {
      if (!from && !inContext.has(source.split('/')[0]!)) throw new Error(`${source} is not in the context`);
      const path = from ? join(into, from, source) : join(clone.folder, source);
      // A folder's content goes into the target, a file beside others into it too.
      const isFile = words.length > 1 || to.endsWith('/');
      cpSync(path, isFile ? join(target, basename(source)) : target, {
        recursive: true,
        verbatimSymlinks: true,
      });
    }
  }

  function run(rest: string, folder: string): void {
    if (rest.startsWith('apt-get ')) return;
    if (rest === 'npm ci') {
      renameSync(join(clone.folder, 'node_modules'), join(folder, 'node_modules'));
      return;
    }
    const { code, text } = clone.paste(
      rest.replaceAll(/(?<= )\/(?=app\/|usr\/local\/bin\/)/g, `${root}/`),
      folder,
    );
    if (code !== 0) throw new Error(`RUN ${rest} ended with ${code}: ${text}`);
  }
}
