import { readdirSync, readFileSync } from 'node:fs';

/** Where functions stand for the kernel's, with what the part is called in the table. */
const ROOMS: readonly [folder: string, title: string][] = [
  ['src/kernel/vfio', 'VFIO’s core'],
  ['src/kernel/type1', 'type1'],
  ['src/kernel/iommufd', 'iommufd'],
  ['src/kernel', 'locks, tasks, printing, memory'],
  ['src/drivers', 'drivers'],
];

const START = '<!-- kernel functions: written by npm run docs -->';
const END = '<!-- the end of the kernel functions -->';

/** A doc comment and what follows it. */
const DOCUMENTED = /\/\*\*((?:(?!\*\/).)*)\*\/\s*\n\s*/gs;
/** Names that a comment begins with: kernel functions, macros or ioctls. */
const NAME = '(?:[a-z_]+(?:_[a-z0-9]+)+|WARN_ON(?:_ONCE)?|BUG_ON|VFIO_(?!DMA_)[A-Z_]+)';
const LEADING = new RegExp(`^${NAME}(?:(?:, or |, | and | or )${NAME})*`);
/** A function, a method or a getter with a body, up to where that begins. */
const DECLARED =
  /^(?:export )?(?:(?:override|private|protected|static) )*(?:function\*? |get |\*)?(\w+)(?:<[^(]*>)?\(((?:[^;{]|\{[^{}]*\})*)\{/;

interface Row {
  readonly kernel: string;
  readonly ours: string;
  readonly file: string;
}

/** docs/ARCHITECTURE.md with the table of kernel functions as the doc comments have them. */
export function withKernelFunctions(page: string): string {
  const [before, rest] = page.split(START);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`the page has no ${START} … ${END}`);
  const seen = new Set<string>();
  const tables = ROOMS.flatMap(([folder, title]) => {
    const rows = filesOf(folder)
      .filter((file) => !seen.has(file) && seen.add(file))
      .flatMap(rowsOf)
      .sort((a, b) => (a.kernel < b.kernel ? -1 : a.kernel > b.kernel ? 1 : a.file < b.file ? -1 : 1));
    return rows.length === 0 ? [] : ['', `### ${title}`, '', ...table(rows)];
  });
  return [before + START, ...tables, '', END + after].join('\n');
}

function table(rows: readonly Row[]): string[] {
  return [
    '| kernel | ours | in |',
    '|---|---|---|',
    ...rows.map(({ kernel, ours, file }) => `| \`${kernel}\` | \`${ours}\` | \`${file}\` |`),
  ];
}

function filesOf(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .sort();
}

function rowsOf(file: string): Row[] {
  const text = readFileSync(file, 'utf8');
  const rows: Row[] = [];
  for (const match of text.matchAll(DOCUMENTED)) {
    const words = match[1]!.replace(/^\s*\* ?/gm, '').trim();
    const names = LEADING.exec(words)?.[0];
    const ours = DECLARED.exec(text.slice(match.index + match[0].length))?.[1];
    if (!names || !ours) continue;
    for (const kernel of names.split(/, or |, | and | or /)) rows.push({ kernel, ours, file });
  }
  return rows;
}
