// The cards of a rig's containers, in the order of their names.

import { Card } from './card.js';
import { byName } from './dom.js';
import { DEVICE_COLOURS } from './strip-painter.js';

/** @typedef {import('../schemas/page.ts').RigOverview} RigOverview */
/** @typedef {import('../schemas/page.ts').DeviceLine} DeviceLine */
/** @typedef {import('./filter.js').Filter} Filter */

/** How far outside the window a card counts as seen. */
const NEAR = '400px';

export class Cards {
  /** @type {Map<string, Card>} */
  #byId = new Map();
  /** @type {Map<string, number>} Colours by device, in the order in which they were met. */
  #colours = new Map();
  /** Container of each device. @type {Map<string, string | null>} */
  #containerOf = new Map();
  /** The card that was jumped to last, and whether it is kept in sight: cards that learn their size move it. */
  #jumped = '';
  #keeping = false;

  #seen = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const { container = '' } = /** @type {HTMLElement} */ (target).dataset;
        this.#byId.get(container)?.seen(isIntersecting);
      }
    },
    { rootMargin: NEAR },
  );

  /**
   * @param {HTMLElement} section that holds them
   * @param {Filter} filter
   * @param {(card: Card) => void} onNew told of each new one
   * @param {() => void} onChange told when a card has learned what is in its container, or is gone
   */
  constructor(section, filter, onNew, onChange) {
    this.section = section;
    this.filter = filter;
    this.onNew = onNew;
    this.onChange = onChange;
    for (const kind of ['wheel', 'pointerdown', 'keydown', 'touchmove']) {
      addEventListener(kind, () => (this.#keeping = false), { passive: true, capture: true });
    }
  }

  get size() {
    return this.#byId.size;
  }

  /** @param {string} id */
  get(id) {
    return this.#byId.get(id);
  }

  [Symbol.iterator]() {
    return this.#byId.values();
  }

  clear() {
    for (const card of this) this.#drop(card);
    this.#colours.clear();
    this.#containerOf.clear();
  }

  /** The colour of a device. @param {string} device */
  colourOf = (device) => {
    let colour = this.#colours.get(device);
    if (colour === undefined) {
      colour = this.#colours.size % DEVICE_COLOURS;
      this.#colours.set(device, colour);
    }
    return colour;
  };

  /** A card for each container, none else. @param {RigOverview} overview @param {AbortSignal} signal ends their questions */
  show({ rig, containers, devices }, signal) {
    for (const { device } of devices) this.colourOf(device);
    this.#containerOf = new Map(devices.map(({ device, container }) => [device, container]));
    const there = new Set(containers.map(({ container }) => container));
    for (const card of this) if (!there.has(card.id)) this.#drop(card);
    /** @type {Map<string | null, DeviceLine[]>} */
    const closed = Map.groupBy(
      devices.filter(({ openCount }) => openCount === 0),
      ({ container }) => container,
    );
    for (const { container, wedged } of containers) {
      const card = this.#byId.get(container) ?? this.#add(container, rig, signal);
      card.wedged = wedged;
      card.closedDevices = (closed.get(container) ?? []).map(({ device }) => device);
    }
    this.#offerChoices();
    this.applyFilter();
  }

  /** @param {string} id @param {string} rig @param {AbortSignal} signal */
  #add(id, rig, signal) {
    const card = new Card(id, {
      rig,
      signal,
      colourOf: this.colourOf,
      onLayout: () => {
        this.#offerChoices();
        this.applyFilter();
        this.onChange();
        if (this.#keeping) this.#keep();
      },
      onGone: (gone) => {
        this.#drop(gone);
        this.onChange();
      },
    });
    this.#byId.set(id, card);
    const after = [...this.section.querySelectorAll('article')].find(
      ({ dataset }) => byName(dataset.container ?? '', id) > 0,
    );
    this.section.insertBefore(card.article, after ?? null);
    card.filter(this.filter.device, this.filter.address);
    this.onNew(card);
    this.#seen.observe(card.article);
    return card;
  }

  /** @param {Card} card */
  #drop(card) {
    this.#seen.unobserve(card.article);
    card.article.remove();
    if (this.#byId.get(card.id) === card) this.#byId.delete(card.id);
  }

  #offerChoices() {
    for (const card of this) for (const device of card.devices()) this.colourOf(device);
    this.filter.offer([...this.#byId.keys()], [...this.#colours.keys()]);
  }

  /** Hides what is not asked for. */
  applyFilter() {
    const { container, device } = this.filter;
    for (const card of this) {
      const other = container !== '' && container !== card.id;
      card.article.hidden = other || (device !== '' && !this.#has(card, device));
    }
  }

  /** Whether any of them is visible. */
  get anyShown() {
    return [...this].some(({ article }) => !article.hidden);
  }

  /** Whether a device is in a container or holds pins in it. @param {Card} card @param {string} device */
  #has(card, device) {
    return this.#containerOf.get(device) === card.id || card.devices().includes(device);
  }

  /** Goes to the next of these containers, also if the filter hides it. @param {readonly (string | undefined)[]} ids */
  jump(ids) {
    const there = ids.filter((id) => id !== undefined && this.#byId.has(id));
    const card = this.#byId.get(there[(there.indexOf(this.#jumped) + 1) % there.length] ?? '');
    if (!card) return;
    this.#jumped = card.id;
    if (card.article.hidden) this.filter.widen();
    this.#keeping = true;
    this.#keep();
    card.article.focus({ preventScroll: true });
  }

  /** Brings the card that was jumped to into the middle. */
  #keep() {
    this.#byId.get(this.#jumped)?.article.scrollIntoView({ block: 'center' });
  }
}
