// One container: its strip, what is under the pointer or the keyboard, its calls, its table.

import { callRow } from './call-row.js';
import { button, element, setText } from './dom.js';
import { getJson } from './feed.js';
import { Layout } from './layout.js';
import { GONE, Poll } from './poll.js';
import { Readout } from './readout.js';
import { Strip } from './strip.js';
import { MappingTable } from './table.js';
import { counted, wedgeInWords } from './words.js';

/** @typedef {import('./calls.js').Call} Call */

/** Calls that a card has rows for. */
const ROWS = 6;
const LEFT =
  'Mappings that this container may still make: the dma_entry_limit less those it has (dma_avail of VFIO_IOMMU_GET_INFO)';

/**
 * What a card needs from the page around it.
 * @typedef {{
 *   rig: string, signal: AbortSignal, colourOf: (device: string) => number,
 *   onLayout: (card: Card) => void, onGone: (card: Card) => void,
 * }} Surroundings
 */

export class Card {
  /** @type {Layout | null} */
  layout = null;
  #poll;
  /** @type {Call[]} */
  #calls = [];
  /** @type {bigint | null} */
  #address = null;
  /** @type {string[]} Devices in its groups that nobody has open. */
  #closed = [];

  article = element('article', 'card');
  #facts = element('p', 'facts num');
  #badge = element('strong', 'badge', 'WEDGED');
  #wedge = element('p', 'wedge');
  #zoom = element('div', 'zoom');
  #readout = new Readout();
  #legend = element('ul', 'legend');
  #rows = element('ol', 'rounds');
  #empty = element('p', 'nothing', '…');

  /** @param {string} id @param {Surroundings} around */
  constructor(id, around) {
    this.id = id;
    this.around = around;
    this.#poll = new Poll(() => this.#ask(), around.signal);
    this.#poll.active = false;
    this.canvas = element('canvas', 'strip');
    this.strip = new Strip(this.canvas, around.colourOf, (how) => this.#describe(how));
    this.table = new MappingTable(id);
    this.#build();
  }

  #build() {
    const { id, article, canvas } = this;
    article.dataset.container = id;
    article.tabIndex = -1;
    const title = element('h2', 'num', id);
    title.id = `title-${id}`;
    article.setAttribute('aria-labelledby', title.id);
    const out = button('−', `zoom out of ${id}`);
    const whole = button('fit', `all of ${id}`);
    const into = button('+', `zoom into ${id}`);
    into.addEventListener('click', () => this.strip.zoomBy(2));
    out.addEventListener('click', () => this.strip.zoomBy(0.5));
    whole.addEventListener('click', () => this.strip.fit());
    this.#zoom.append(out, whole, into);
    this.#badge.hidden = true;
    this.#wedge.hidden = true;
    this.#wedge.setAttribute('role', 'alert');
    const head = element('header');
    head.append(title, this.#badge, this.#facts, this.#zoom);
    canvas.tabIndex = 0;
    canvas.setAttribute('role', 'application');
    canvas.setAttribute('aria-roledescription', 'strip of mappings');
    canvas.setAttribute('aria-describedby', 'keys');
    this.#legend.setAttribute('aria-label', `devices of ${id}`);
    this.#rows.setAttribute('aria-label', `invalidation rounds of ${id}`);
    article.append(head, this.#wedge, canvas, this.#empty, this.#legend, this.#readout.list, this.#rows);
    article.append(this.table.details);
    // Until it is known better: room for a strip, so that what comes does not move what is below it.
    this.#blank(false);
  }

  /** Whether anybody sees it: what nobody sees is not asked for. @param {boolean} visible */
  seen(visible) {
    this.#poll.active = visible;
  }

  /** The container may have changed with a journal entry. @param {number} seq */
  touched(seq) {
    this.#poll.want(seq);
  }

  async #ask() {
    const { rig, signal } = this.around;
    const answer = await getJson(`/ui/containers/${encodeURIComponent(this.id)}/layout`, rig, signal);
    if (answer === null) {
      this.around.onGone(this);
      return GONE;
    }
    this.#show(new Layout(answer));
    return answer.seq;
  }

  /** @param {Layout} layout */
  #show(layout) {
    this.layout = layout;
    const { answer } = layout;
    const devices = [...layout.devices().keys()];
    this.article.dataset.seq = String(answer.seq);
    this.wedged = answer.wedged !== null;
    this.#wedge.hidden = answer.wedged === null;
    if (answer.wedged) {
      const why = wedgeInWords(answer.wedged);
      setText(this.#wedge, `Its lock is held for ever: ${why}. Calls that need it are answered 423.`);
    }
    this.#showFacts(layout);
    this.#blank(layout.count === 0);
    this.#empty.textContent = answer.iommu ? 'Nothing is mapped.' : 'It has no IOVA space before set-iommu.';
    this.canvas.setAttribute(
      'aria-label',
      `IOVA space of ${this.id}: ${counted(layout.count, 'mapping')}, arrow keys move through them`,
    );
    this.#showLegend();
    this.strip.show(layout, devices, answer.wedged !== null);
    this.table.show(layout, this.#address);
    this.showCalls(this.#calls, performance.now());
    this.#describe('hover');
    this.around.onLayout(this);
  }

  /** @param {Layout} layout */
  #showFacts({ answer, count }) {
    const { iommu } = answer;
    const facts = [`process ${answer.process}`];
    if (iommu) {
      if (iommu.typeName !== null) facts.unshift(iommu.typeName);
      facts.push(counted(iommu.mappings, 'mapping'), counted(iommu.pins, 'pinned page'));
      if (iommu.dirtyTracking) facts.push('dirty tracking');
    } else facts.push('no IOMMU set');
    if (!answer.open) facts.push('closed');
    if (!answer.complete) facts.push(`the first ${count.toLocaleString('en')} shown`);
    this.#facts.replaceChildren(...facts.map((fact) => element('span', '', fact)));
    if (typeof iommu?.dmaAvail !== 'number') return;
    const left = element('abbr', '', `${iommu.dmaAvail.toLocaleString('en')} left`);
    left.title = LEFT;
    this.#facts.append(left);
  }

  /** Nothing is mapped: there is nothing to draw. @param {boolean} blank */
  #blank(blank) {
    this.canvas.hidden = blank;
    this.#readout.list.hidden = blank;
    this.table.details.hidden = blank;
    this.#zoom.hidden = blank;
    this.#empty.hidden = !blank;
  }

  /** @param {boolean} wedged */
  set wedged(wedged) {
    this.article.classList.toggle('wedged', wedged);
    this.#badge.hidden = !wedged;
  }

  /** Devices in its groups that nobody has open. @param {string[]} devices */
  set closedDevices(devices) {
    if (devices.join() === this.#closed.join()) return;
    this.#closed = devices;
    this.#showLegend();
  }

  #showLegend() {
    const pages = this.layout?.devices() ?? new Map();
    const items = [...pages].map(([device, count]) =>
      this.#legendItem(device, count === 0 ? 'no pins' : counted(count, 'pin')),
    );
    for (const device of this.#closed) {
      if (!pages.has(device)) items.push(this.#legendItem(device, 'not open'));
    }
    if (this.layout?.partly) {
      const item = element('li', 'aside');
      item.append(element('i', 'swatch partly'), element('span', 'num', 'not read and write'));
      items.push(item);
    }
    this.#legend.replaceChildren(...items);
  }

  /** @param {string} device @param {string} text */
  #legendItem(device, text) {
    const item = element('li');
    item.dataset.device = device;
    item.append(element('i', `swatch dev-${this.around.colourOf(device)}`), element('b', 'num', device));
    item.append(element('span', 'num', text));
    return item;
  }

  /** Whether it has a row that time alone changes. */
  get waits() {
    return this.#calls.some(({ end, round }) => end === null || !round);
  }

  /** The devices it has to do with. */
  devices() {
    return [...(this.layout?.devices().keys() ?? [])];
  }

  /** What of it is wanted. @param {string} device @param {bigint | null} address */
  filter(device, address) {
    this.strip.device = device === '' ? null : device;
    this.#address = address;
    this.strip.draw();
    if (!this.layout) return;
    this.table.show(this.layout, address);
    if (address !== null) this.strip.select(this.layout.containing(address), 'click');
  }

  /** Its calls under way and those that were the last. @param {Call[]} calls @param {number} now */
  showCalls(calls, now) {
    this.#calls = calls;
    const attempts = this.layout?.answer.iommu?.attempts ?? null;
    this.#rows.replaceChildren(...calls.slice(0, ROWS).map((call) => callRow(call, attempts, now)));
    const marked = calls.filter(({ end, round }) => round && (end === null || round.fatal));
    this.strip.mark(marked.map(({ round }) => BigInt(round?.iova ?? 0)));
  }

  /** Says what is under the pointer, or else what is selected. @param {'hover' | 'key' | 'click'} how */
  #describe(how) {
    const { layout } = this;
    if (!layout) return;
    const { view } = this.strip;
    const index = view.hovered >= 0 && how === 'hover' ? view.hovered : view.selected;
    this.#readout.list.setAttribute('aria-live', how === 'key' ? 'polite' : 'off');
    this.#readout.show(layout, index, index < 0 ? 1 : view.crowd(index));
  }
}
