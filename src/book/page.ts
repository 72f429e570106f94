import type { Marked, Token, Tokens } from 'marked';
import { Turns } from '../turns.ts';

/** A chapter in the list of all. */
export interface Entry {
  readonly name: string;
  readonly title: string;
}

/** Where the front page is, seen from /docs/. */
const FRONT = 'README';

/** A chapter as a page of /docs/. */
export async function renderPage(name: string, markdown: string, entries: readonly Entry[]): Promise<string> {
  const { Marked } = await import('marked');
  const marked = new Marked({
    renderer: {
      heading({ tokens, depth, text }: Tokens.Heading): string {
        return `<h${depth} id="${anchorOf(text)}">${this.parser.parseInline(tokens)}</h${depth}>\n`;
      },
      // What lies beside docs/ is in the repository and in the package, and nothing that is served.
      link({ href, tokens }: Tokens.Link): string | false {
        return href.startsWith('../') ? this.parser.parseInline(tokens) : false;
      },
    },
    walkTokens(token: Token) {
      if (token.type === 'link') token.href = linkOf(token.href);
    },
  });
  const title = entries.find((entry) => entry.name === name)?.title ?? name;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escaped(title)} – vfio-host</title>
<link rel="icon" href="/ui/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/ui/docs.css">
</head>
<body>
<nav aria-label="Chapters">
<a class="home" href="/">vfio-host</a>
<ul>
${entries.map((entry) => `<li><a href="${hrefOf(entry.name)}"${entry.name === name ? ' aria-current="page"' : ''}>${escaped(entry.title)}</a></li>`).join('\n')}
<li><a href="/docs/api">The HTTP API, to try</a></li>
</ul>
</nav>
<main>
${await rendered(marked, markdown)}
</main>
</body>
</html>
`;
}

/** A chapter's text, rendered section by section, in turns. */
async function rendered(marked: Marked, markdown: string): Promise<string> {
  const turns = new Turns();
  let html = '';
  for (const section of sectionsOf(markdown)) {
    await turns.next();
    html += await marked.parse(section);
  }
  return html;
}

/** A chapter cut before its headings: nothing goes on over one but code between fences. */
export function sectionsOf(markdown: string): string[] {
  const sections: string[] = [];
  let lines: string[] = [];
  let isCode = false;
  for (const line of markdown.split('\n')) {
    if (line.startsWith('```')) isCode = !isCode;
    if (!isCode && lines.length > 0 && /^#{1,6} /.test(line)) {
      sections.push(lines.join('\n'));
      lines = [];
    }
    lines.push(line);
  }
  return [...sections, lines.join('\n')];
}

/** The page of the HTTP API: a viewer of /openapi.json. */
export const API_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The HTTP API – vfio-host</title>
<link rel="icon" href="/ui/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/docs/api/swagger-ui.css">
<link rel="stylesheet" href="/ui/api.css">
</head>
<body>
<header><a href="/docs">vfio-host: documentation</a></header>
<div id="api"></div>
<script src="/docs/api/swagger-ui-bundle.js"></script>
<script src="/ui/api.js"></script>
</body>
</html>
`;

function hrefOf(name: string): string {
  return name === FRONT ? '/docs' : `/docs/${name}`;
}

/** A link between files of docs/ as one between pages. */
function linkOf(href: string): string {
  const [path = '', anchor] = href.split('#');
  if (/^[a-z]+:/.test(path) || path === '') return href;
  const name = /^(?:\.\/)?([A-Za-z0-9-]+)\.md$/.exec(path)?.[1];
  return name ? `${hrefOf(name)}${anchor === undefined ? '' : `#${anchor}`}` : href;
}

/** A heading's anchor, as the usual viewers of repositories make it. */
function anchorOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/<[^>]+>|[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
