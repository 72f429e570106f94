// The devices that are in no container.

import { byId, element } from './dom.js';

/** @typedef {import('../schemas/page.ts').DeviceLine} DeviceLine */

/** Devices that are named one by one. */
const NAMED = 200;

export class LooseDevices {
  #section = byId('loose');
  #list = byId('loose-list');

  constructor() {
    // It scrolls, so the keyboard has to reach it.
    this.#list.tabIndex = 0;
  }

  /** @param {readonly DeviceLine[]} devices @param {(device: string) => number} colourOf */
  show(devices, colourOf) {
    this.#section.hidden = devices.length === 0;
    const items = devices.slice(0, NAMED).map((line) => {
      const item = element('li');
      item.dataset.device = line.device;
      item.append(
        element('i', `swatch dev-${colourOf(line.device)}`),
        element('b', 'num', line.device),
        element('span', 'num', inWords(line)),
      );
      return item;
    });
    const more = devices.length - items.length;
    if (more > 0) items.push(element('li', 'num', `… ${more.toLocaleString('en')} more`));
    this.#list.replaceChildren(...items);
  }
}

/** @param {DeviceLine} line */
function inWords({ kind, driver, group, groupOpen }) {
  return `${driver ?? kind} · ${group}${groupOpen ? ' open' : ''}`;
}
