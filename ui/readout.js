// What a card says of one mapping, or of the whole IOVA space while none is asked about.

import { element } from './dom.js';
import { bytesInWords, counted, hex } from './words.js';

/** @typedef {import('./layout.js').Layout} Layout */

/** Runs of pins that a mapping's details name. */
const RUNS_NAMED = 6;

export class Readout {
  list = element('dl', 'readout');

  /**
   * @param {Layout} layout
   * @param {number} index of a mapping; -1: none
   * @param {number} crowd mappings in its pixel
   */
  show(layout, index, crowd) {
    const fields = index < 0 ? extent(layout) : mappingFields(layout, index);
    if (crowd > 1) fields.push(['here', `${counted(crowd, 'mapping')} in this pixel`]);
    this.list.replaceChildren(
      ...fields.map(([name, value]) => {
        const made = element('div');
        made.append(element('dt', '', name), element('dd', 'num', value));
        return made;
      }),
    );
  }
}

/** @param {Layout} layout @returns {[string, string][]} */
function extent(layout) {
  if (layout.count === 0) return [];
  const last = layout.mapping(layout.count - 1);
  return [
    ['from', hex(layout.iova[0])],
    ['to', hex(last.end)],
    ['mapped', bytesInWords(layout.mapped)],
    ['areas', layout.areas.toLocaleString('en')],
  ];
}

/** @param {Layout} layout @param {number} index @returns {[string, string][]} */
function mappingFields(layout, index) {
  const { iova, size, end, vaddr, prot } = layout.mapping(index);
  return [
    ['IOVA', `${hex(iova)} – ${hex(end)}`],
    ['size', `${hex(size)} · ${bytesInWords(size)}`],
    ['vaddr', hex(vaddr)],
    ['prot', prot],
    ['pins', pinsOf(layout, index)],
  ];
}

/** @param {Layout} layout @param {number} index */
function pinsOf(layout, index) {
  if (layout.pinned[index] === 0) return 'none';
  const named = [];
  const first = layout.firstRun[index];
  const last = layout.firstRun[index + 1];
  for (let run = first; run < Math.min(last, first + RUNS_NAMED); run++) {
    const { iova, pages, holders } = layout.run(run);
    const held = holders.map(({ device, count }) => (count > 1 ? `${device} ×${count}` : device)).join(', ');
    named.push(`${hex(iova)}${pages > 1 ? ` (${pages} pages)` : ''} ${held}`);
  }
  if (last - first > RUNS_NAMED) named.push(`… ${counted(layout.pinned[index], 'page')} in all`);
  return named.join(' · ');
}
