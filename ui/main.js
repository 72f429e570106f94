// Shows the rig that the address names: `#rig=NAME`, or `?rig=NAME` where somebody typed it so.

import { byId } from './dom.js';
import { Page } from './page.js';
import { DEFAULT_RIG } from './rig-menu.js';

/** @returns {string} */
function rigOfAddress() {
  return new URLSearchParams(location.hash.slice(1)).get('rig') || DEFAULT_RIG;
}

const asked = new URLSearchParams(location.search).get('rig');
if (location.search !== '') {
  // One form of the address from here on.
  const hash = location.hash || (asked ? `#rig=${encodeURIComponent(asked)}` : '');
  history.replaceState(null, '', `/${hash}`);
}
const page = new Page();
// Links within the page leave the address alone, which names the rig.
for (const link of document.querySelectorAll('a[href^="#"]')) {
  link.addEventListener('click', (event) => {
    event.preventDefault();
    const target = byId(link.getAttribute('href')?.slice(1) ?? '');
    target.scrollIntoView();
    target.focus();
  });
}
addEventListener('hashchange', () => {
  if (rigOfAddress() !== page.rig) void page.watch(rigOfAddress());
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => page.recolour());
void page.watch(rigOfAddress());
