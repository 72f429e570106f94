// One container: its strip, what is under the pointer or the keyboard, its rounds, its table.

import { getJson, Refused } from './feed.js';
import { Layout } from './layout.js';
import { Strip } from './strip.js';
import { button, element, MappingTable } from './table.js';
import { bytesInWords, counted, hex, protInWords, wedgeInWords } from './words.js';

/** @typedef {import('./rounds.js').Round} Round */

/** Attempts of a round before the BUG_ON. */
const ATTEMPTS = 11;
/** Least time between two looks at a container, and its multiple of what a look took, milliseconds. */
const AGAIN_MS = 120;
const AGAIN_TIMES = 3;
/** What a look counts as that was answered with an error, milliseconds. */
const FAILED_MS = 500;
const TYPES = { 1: 'type1', 3: 'type1v2', 6: 'type1-nesting' };
/** Runs of pins that a mapping's details name. */
const RUNS_NAMED = 6;

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
  #wanted = 0;
  #asking = false;
  #took = 0;
  #askedAt = Number.NEGATIVE_INFINITY;
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;
  #visible = false;
  /** @type {Round[]} */
  #rounds = [];
  /** @type {bigint | null} */
  #address = null;

  article = element('article', 'card');
  #facts = element('p', 'facts num');
  #badge = element('strong', 'badge', 'WEDGED');
  #wedge = element('p', 'wedge');
  #readout = element('dl', 'readout');
  #legend = element('ul', 'legend');
  #rounds_ = element('ol', 'rounds');
  #empty = element('p', 'nothing');

  /** @param {string} id @param {Surroundings} around */
  constructor(id, around) {
    this.id = id;
    this.around = around;
    const { article } = this;
    article.dataset.container = id;
    const title = element('h2', 'num', id);
    title.id = `title-${id}`;
    article.setAttribute('aria-labelledby', title.id);
    const head = element('header');
    const zoom = element('div', 'zoom');
    const out = button('−', `zoom out of ${id}`);
    const whole = button('fit', `all of ${id}`);
    const into = button('+', `zoom into ${id}`);
    zoom.append(out, whole, into);
    this.#badge.hidden = true;
    this.#wedge.hidden = true;
    this.#wedge.setAttribute('role', 'alert');
    head.append(title, this.#badge, this.#facts, zoom);
    this.canvas = element('canvas', 'strip');
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute('role', 'application');
    this.canvas.setAttribute('aria-roledescription', 'strip of mappings');
    this.#readout.id = `readout-${id}`;
    this.#readout.setAttribute('aria-live', 'polite');
    this.canvas.setAttribute('aria-describedby', 'keys');
    this.strip = new Strip(this.canvas, around.colourOf, (how) => this.#describe(how));
    this.table = new MappingTable(id);
    into.addEventListener('click', () => this.strip.zoomBy(2));
    out.addEventListener('click', () => this.strip.zoomBy(0.5));
    whole.addEventListener('click', () => this.strip.fit());
    this.#legend.setAttribute('aria-label', `devices of ${id}`);
    this.#rounds_.setAttribute('aria-label', `invalidation rounds of ${id}`);
    article.append(head, this.#wedge, this.canvas, this.#empty, this.#legend, this.#readout, this.#rounds_);
    article.append(this.table.details);
    this.#describe('hover');
  }

  /** Whether anybody sees it: what nobody sees is not asked for. @param {boolean} visible */
  seen(visible) {
    this.#visible = visible;
    if (visible) this.#askSoon();
  }

  /** The container may have changed with a journal entry. @param {number} seq */
  touched(seq) {
    if (seq <= this.#wanted && this.layout) return;
    this.#wanted = Math.max(this.#wanted, seq);
    this.#askSoon();
  }

  #askSoon() {
    const upToDate = this.layout !== null && this.layout.answer.seq >= this.#wanted;
    if (!this.#visible || this.#asking || this.#timer !== null || upToDate) return;
    const wait = this.#askedAt + Math.max(AGAIN_MS, AGAIN_TIMES * this.#took) - performance.now();
    this.#timer = setTimeout(() => void this.#ask(), Math.max(0, wait));
  }

  async #ask() {
    this.#timer = null;
    this.#asking = true;
    this.#askedAt = performance.now();
    const { rig, signal } = this.around;
    try {
      const answer = await getJson(`/ui/containers/${encodeURIComponent(this.id)}/layout`, rig, signal);
      this.#took = performance.now() - this.#askedAt;
      this.#show(new Layout(answer));
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status === 404) {
        this.around.onGone(this);
        return;
      }
      this.#took = FAILED_MS;
    } finally {
      this.#asking = false;
    }
    this.#askSoon();
  }

  /** @param {Layout} layout */
  #show(layout) {
    this.layout = layout;
    const { answer } = layout;
    const devices = layout.devices();
    const { iommu, wedged } = answer;
    this.article.dataset.seq = String(answer.seq);
    this.article.classList.toggle('wedged', wedged !== null);
    this.#badge.hidden = wedged === null;
    this.#wedge.hidden = wedged === null;
    if (wedged) {
      const text = `Its lock is held for ever: ${wedgeInWords(wedged)}. Calls that need it are answered 423.`;
      if (this.#wedge.textContent !== text) this.#wedge.textContent = text;
    }
    const facts = [`process ${answer.process}`];
    if (iommu) {
      facts.unshift(TYPES[/** @type {1 | 3 | 6} */ (iommu.type)] ?? `type ${iommu.type}`);
      facts.push(counted(iommu.mappings, 'mapping'), counted(iommu.pins, 'pinned page'));
      facts.push(`${iommu.dmaAvail.toLocaleString('en')} left`);
      if (iommu.dirtyTracking) facts.push('dirty tracking');
    } else facts.push('no IOMMU set');
    if (!answer.open) facts.push('closed');
    if (!layout.answer.complete) facts.push(`the first ${layout.count.toLocaleString('en')} shown`);
    this.#facts.replaceChildren(...facts.map((fact) => element('span', '', fact)));
    const blank = layout.count === 0;
    this.canvas.hidden = blank;
    this.#readout.hidden = blank;
    this.table.details.hidden = blank;
    this.article.querySelector('.zoom')?.toggleAttribute('hidden', blank);
    this.#empty.hidden = !blank;
    this.#empty.textContent = iommu ? 'Nothing is mapped.' : 'It has no IOVA space before set-iommu.';
    this.canvas.setAttribute(
      'aria-label',
      `IOVA space of ${this.id}: ${counted(layout.count, 'mapping')}, arrow keys move through them`,
    );
    this.#showLegend(devices);
    this.strip.show(layout, [...devices.keys()], wedged !== null);
    this.table.show(layout, this.#address);
    this.#mark();
    this.#describe('hover');
    this.around.onLayout(this);
  }

  /** @param {Map<string, number>} devices */
  #showLegend(devices) {
    this.#legend.replaceChildren(
      ...[...devices].map(([device, pages]) => {
        const item = element('li', '');
        item.dataset.device = device;
        item.append(element('i', `swatch dev-${this.around.colourOf(device)}`), element('b', 'num', device));
        item.append(element('span', 'num', pages === 0 ? 'no pins' : counted(pages, 'pin')));
        return item;
      }),
    );
    if (this.layout?.flags.some((flags) => (flags & 3) !== 3)) {
      const item = element('li', 'aside');
      item.append(element('i', 'swatch partly'), element('span', 'num', 'not read and write'));
      this.#legend.append(item);
    }
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

  /** @param {Round[]} rounds */
  showRounds(rounds) {
    this.#rounds = rounds;
    this.#rounds_.replaceChildren(...rounds.slice(0, 6).map(roundRow));
    this.#mark();
  }

  #mark() {
    const live = this.#rounds.filter((round) => round.end === null || round.fatal);
    this.strip.mark(live.map(({ iova }) => BigInt(iova)));
  }

  /** Says what is under the pointer, or else what is selected. @param {'hover' | 'key' | 'click'} how */
  #describe(how) {
    const { layout, strip } = this;
    const index = strip.hovered >= 0 && how === 'hover' ? strip.hovered : strip.selected;
    this.#readout.setAttribute('aria-live', how === 'key' ? 'polite' : 'off');
    if (!layout || index < 0) {
      this.#readout.replaceChildren(...(layout ? extent(layout).map(field) : []));
      return;
    }
    const { iova, size, end, vaddr, flags } = layout.mapping(index);
    const fields = [
      ['IOVA', `${hex(iova)} – ${hex(end)}`],
      ['size', `${hex(size)} · ${bytesInWords(size)}`],
      ['vaddr', hex(vaddr)],
      ['prot', protInWords(flags)],
      ['pins', this.#pinsOf(index)],
    ];
    const crowd = strip.crowd(index);
    if (crowd > 1) fields.push(['here', `${counted(crowd, 'mapping')} in this pixel`]);
    this.#readout.replaceChildren(...fields.map(field));
  }

  /** @param {number} index */
  #pinsOf(index) {
    const { layout } = this;
    if (!layout || layout.pinned[index] === 0) return 'none';
    const named = [];
    const first = layout.firstRun[index];
    const last = layout.firstRun[index + 1];
    for (let run = first; run < Math.min(last, first + RUNS_NAMED); run++) {
      const { iova, pages, holders } = layout.run(run);
      const held = holders
        .map(({ device, count }) => (count > 1 ? `${device} ×${count}` : device))
        .join(', ');
      named.push(`${hex(iova)}${pages > 1 ? ` (${pages} pages)` : ''} ${held}`);
    }
    if (last - first > RUNS_NAMED) named.push(`… ${counted(layout.pinned[index], 'page')} in all`);
    return named.join(' · ');
  }
}

/** @param {string[]} named */
function field([name, value]) {
  const made = element('div', '');
  made.append(element('dt', '', name), element('dd', 'num', value));
  return made;
}

/** All of an IOVA space, while no mapping of it is asked about. @param {Layout} layout */
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

/** @param {Round} round */
function roundRow(round) {
  const { seq, call, iova, length, attempt, end, fatal, last, visited, devices } = round;
  const row = element('li', `round${end === null ? ' live' : ''}${fatal ? ' fatal' : ''}`);
  row.dataset.seq = String(seq);
  const meter = element('span', 'meter');
  meter.setAttribute('role', 'meter');
  meter.setAttribute('aria-label', 'attempts');
  meter.setAttribute('aria-valuemin', '0');
  meter.setAttribute('aria-valuemax', String(ATTEMPTS));
  meter.setAttribute('aria-valuenow', String(attempt));
  for (let i = 1; i <= ATTEMPTS; i++) {
    meter.append(element('i', i < attempt ? 'on' : i === attempt ? 'on now' : ''));
  }
  const many = visited > 1 ? ` · ${counted(visited, 'mapping')} visited` : '';
  const state = fatal
    ? `${end}`
    : end === null
      ? `${last} is called back`
      : `${devices.join(', ')} · ${end === 'ok' ? 'done' : end}`;
  row.append(
    element('span', 'seq num', `#${seq}`),
    element('span', 'num', `${call} ${iova}+${length}`),
    meter,
    element('span', 'num count', `attempt ${attempt} of ${ATTEMPTS}${many}`),
    element('span', 'state num', state),
  );
  return row;
}
