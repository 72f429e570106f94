import { mkdirSync, writeFileSync } from 'node:fs';
import { Book } from '../book/book.ts';

/** Renders the chapters of docs/ into a folder: the last step of `npm run build`, after which nobody waits for it. */
const [folder = 'dist/book'] = process.argv.slice(2);
const book = new Book([]);
mkdirSync(folder, { recursive: true });
for (const { name } of book.entries()) writeFileSync(`${folder}/${name}.html`, (await book.page(name))!);
