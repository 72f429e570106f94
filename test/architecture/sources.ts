import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** One import or re-export of a file: what it names, and from where. */
export interface Import {
  readonly from: string;
  /** Names taken; `*` for a namespace, and for a file imported for its effects none. */
  readonly names: readonly string[];
  readonly typeOnly: boolean;
}

/** A source file of the project. */
export interface Source {
  /** From the project's root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text without comments and the contents of strings, its lines kept. */
  readonly code: string;
  readonly imports: readonly Import[];
}

/** The files git tracks (and new ones it does not ignore) that match. */
export function tracked(...patterns: string[]): string[] {
  const listed = execFileSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', ...patterns],
    {
      cwd: ROOT,
      encoding: 'utf8',
    },
  );
  return listed.split('\0').filter(Boolean).filter(exists).sort();
}

function exists(path: string): boolean {
  try {
    readFileSync(posix.join(ROOT, path));
    return true;
  } catch {
    return false;
  }
}

/** The text of a file of the project. */
export function textOf(path: string): string {
  return readFileSync(posix.join(ROOT, path), 'utf8');
}

/** Every TypeScript and JavaScript source below the folders. */
export function sources(...folders: string[]): Source[] {
  return tracked(
    ...folders.flatMap((folder) => [`${folder}/**/*.ts`, `${folder}/**/*.js`, `${folder}/*.ts`]),
  ).map((path) => {
    const text = textOf(path);
    return { path, text, code: withoutComments(text), imports: importsOf(path, text) };
  });
}

/** Blanks comments; strings, templates and regular expressions keep their delimiters only. */
function withoutComments(text: string): string {
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g;
  return text.replace(token, (match) => {
    const blank = match.replace(/[^\n]/g, ' ');
    return match.startsWith('/') ? blank : `${match[0]}${blank.slice(2)}${match[0]}`;
  });
}

function importsOf(path: string, text: string): Import[] {
  const statement = /^(?:import|export)\s+(type\s+)?([^'";]*?)\s*from\s+'([^']+)'|^import\s+'([^']+)'/gm;
  const found: Import[] = [];
  for (const [, type, names, from, bare] of text.matchAll(statement)) {
    found.push({
      from: resolve(path, from ?? bare!),
      names: namesIn(names ?? ''),
      typeOnly: type !== undefined,
    });
  }
  for (const [, from] of text.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) {
    found.push({ from: resolve(path, from!), names: ['*'], typeOnly: false });
  }
  return found;
}

function resolve(path: string, from: string): string {
  return from.startsWith('.') ? posix.normalize(posix.join(posix.dirname(path), from)) : from;
}

function namesIn(clause: string): string[] {
  if (clause.includes('*')) return ['*'];
  const inBraces = /\{([^}]*)\}/.exec(clause)?.[1] ?? '';
  const byDefault = /^(\w+)/.exec(clause)?.[1];
  const named = inBraces
    .split(',')
    .map(
      (name) =>
        name
          .trim()
          .replace(/^type\s+/, '')
          .split(/\s+as\s+/)[0]!,
    )
    .filter(Boolean);
  return byDefault ? ['default', ...named] : named;
}
