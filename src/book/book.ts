import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { below } from './folder.ts';
import { type Entry, renderPage } from './page.ts';

/** The first chapters, in this order; the others follow by name, and what is for who changes the code comes last. */
const HOW_TO = ['driver-test', 'vmm', 'waiting', 'faults', 'rigs', 'ci'].map((name) => `howto-${name}`);
const FIRST = ['README', 'concepts', ...HOW_TO, 'reference', 'webhooks'];
const LAST = 'ARCHITECTURE';

/** Where the build leaves the chapters as pages: dist/book/, seen from the compiled and from the bundled program. */
const BUILT = ['../book/', '../../book/'].map((path) => new URL(path, import.meta.url));

/** docs/ as pages to read. A program that has not been built renders them when they are asked for. */
export class Book {
  private readonly folder = below('docs/');
  private readonly pages = new Map<string, string | null>();

  /** @param built folders in which rendered pages may lie */
  constructor(private readonly built: readonly URL[] = BUILT) {}

  /** A chapter by its name as HTML; null where there is none. `README` is the front page. */
  async page(name: string): Promise<string | null> {
    const known = this.pages.get(name);
    if (known !== undefined) return known;
    const page = await this.read(name);
    if (page !== null) this.pages.set(name, page);
    return page;
  }

  private async read(name: string): Promise<string | null> {
    const built = this.built
      .map((folder) => new URL(`${name}.html`, folder))
      .find((file) => existsSync(file));
    if (built) return readFile(built, 'utf8');
    const source = new URL(`${name}.md`, this.folder);
    return existsSync(source) ? renderPage(name, readFileSync(source, 'utf8'), this.entries()) : null;
  }

  /** A picture of the chapters; null where there is none. */
  picture(name: string): Buffer | null {
    const source = new URL(`images/${name}`, this.folder);
    return existsSync(source) ? readFileSync(source) : null;
  }

  /** The chapters, in their order. */
  entries(): Entry[] {
    const names = readdirSync(this.folder)
      .filter((file) => file.endsWith('.md'))
      .map((file) => file.slice(0, -'.md'.length));
    const place = (name: string) => {
      if (name === LAST) return FIRST.length + 1;
      return FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length;
    };
    names.sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
    return names.map((name) => {
      const [, title = name] =
        /^# (.+)$/m.exec(readFileSync(new URL(`${name}.md`, this.folder), 'utf8')) ?? [];
      return { name, title: title.replaceAll('`', '') };
    });
  }
}
