// What stands where the containers would be, while there are none.

import { button, byId, element } from './dom.js';
import { firstCommands } from './words.js';

export class Welcome {
  #text = byId('none');
  #first = byId('first');

  /**
   * @param {string | null} text null: there is something to see
   * @param {string | null} [rig] to make a beginning in, null for the default one; undefined: none is wanted
   */
  show(text, rig) {
    this.#text.hidden = text === null;
    this.#text.textContent = text ?? '';
    const hidden = text === null || rig === undefined;
    if (hidden === this.#first.hidden && this.#first.dataset.rig === String(rig)) return;
    this.#first.hidden = hidden;
    this.#first.dataset.rig = String(rig);
    this.#first.replaceChildren(...(hidden ? [] : paragraphs(rig ?? null)));
  }
}

/** @param {string | null} rig */
function paragraphs(rig) {
  const [begin, unmap] = firstCommands(location.origin, rig);
  return [
    command('To begin: a container with a device, 64 KiB mapped, and one page of it pinned', begin),
    command('Then take the mapping away, under a driver that unpins the wrong page', unmap),
  ];
}

/** @param {string} what @param {string} text */
function command(what, text) {
  const made = element('section', 'command');
  const head = element('div', 'command-head');
  head.append(element('h2', '', what));
  // Browsers give the clipboard to local and to encrypted pages only.
  if (navigator.clipboard) {
    const copy = button('copy', `copy the command: ${what}`);
    copy.addEventListener('click', async () => {
      await navigator.clipboard.writeText(text);
      copy.textContent = 'copied';
    });
    head.append(copy);
  }
  const shown = element('pre', 'num', text);
  shown.tabIndex = 0;
  made.append(head, shown);
  return made;
}
