// The mappings of a container as a table: what the strip shows, for whoever does not see it.

import { button, element } from './dom.js';
import { bytesInWords, counted, hex } from './words.js';

/** @typedef {import('./layout.js').Layout} Layout */

const ROWS = 100;
const HEADS = ['IOVA', 'last byte', 'size', 'vaddr', 'prot', 'pins'];

export class MappingTable {
  /** @type {Layout | null} */
  #layout = null;
  #first = 0;
  /** @type {bigint | null} */
  #address = null;
  details = element('details', 'table');
  #range = element('span', 'num');
  #body = element('tbody');

  /** @param {string} container */
  constructor(container) {
    this.details.append(element('summary', '', 'Table'));
    const bar = element('div', 'pager');
    const back = button('‹', `previous mappings of ${container}`);
    const on = button('›', `next mappings of ${container}`);
    back.addEventListener('click', () => this.#move(-ROWS));
    on.addEventListener('click', () => this.#move(ROWS));
    bar.append(back, this.#range, on);
    const table = element('table');
    table.append(element('caption', 'hidden', `Mappings of ${container}, by IOVA`));
    const head = element('thead');
    const row = element('tr');
    for (const name of HEADS) {
      const cell = element('th', '', name);
      cell.scope = 'col';
      row.append(cell);
    }
    head.append(row);
    table.append(head, this.#body);
    const scroller = element('div', 'scroller');
    scroller.tabIndex = 0;
    scroller.setAttribute('role', 'region');
    scroller.setAttribute('aria-label', `mappings of ${container}`);
    scroller.append(table);
    this.details.append(bar, scroller);
    this.details.addEventListener('toggle', () => this.#render());
  }

  /** Shows only the mapping an address lies in; null: all. @param {Layout} layout @param {bigint | null} address */
  show(layout, address) {
    this.#layout = layout;
    this.#address = address;
    this.#first = Math.max(0, Math.min(this.#first, layout.count - 1));
    this.#render();
  }

  /** @param {number} by */
  #move(by) {
    const count = this.#layout?.count ?? 0;
    const to = this.#first + by;
    if (to >= 0 && to < count) this.#first = to;
    else if (by < 0) this.#first = 0;
    this.#render();
  }

  #render() {
    const layout = this.#layout;
    if (!this.details.open || !layout) return;
    let from = Math.floor(this.#first / ROWS) * ROWS;
    let to = Math.min(layout.count, from + ROWS);
    if (this.#address !== null) {
      const index = layout.containing(this.#address);
      [from, to] = index < 0 ? [0, 0] : [index, index + 1];
    }
    const of = `of ${counted(layout.count, 'mapping')}`;
    this.#range.textContent =
      to === 0 ? `none ${of}` : `${(from + 1).toLocaleString('en')}–${to.toLocaleString('en')} ${of}`;
    const rows = [];
    for (let i = from; i < to; i++) rows.push(rowOf(layout, i));
    this.#body.replaceChildren(...rows);
  }
}

/** @param {Layout} layout @param {number} index */
function rowOf(layout, index) {
  const { iova, size, end, vaddr, prot } = layout.mapping(index);
  const pins = [...layout.holdersOf(index)].map(([device, pages]) => `${device} ${pages}`).join(', ');
  const row = element('tr');
  const cells = [hex(iova), hex(end), `${hex(size)} (${bytesInWords(size)})`, hex(vaddr), prot, pins];
  for (const text of cells) row.append(element('td', '', text));
  return row;
}
