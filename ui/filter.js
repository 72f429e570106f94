// The filter: a text or an address, a container, a device, and the kinds of entries in the log.

import { byId, byName, element } from './dom.js';

export class Filter {
  /** @type {HTMLInputElement} */
  #text = byId('text');
  /** @type {HTMLSelectElement} */
  #container = byId('container');
  /** @type {HTMLSelectElement} */
  #device = byId('device');

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    const form = document.querySelector('.filter');
    form?.addEventListener('input', onChange);
    form?.addEventListener('submit', (event) => event.preventDefault());
  }

  get text() {
    return this.#text.value.trim();
  }

  /** The address that is looked for, if the text is one. */
  get address() {
    return /^0x[0-9a-f]{1,16}$/i.test(this.text) ? BigInt(this.text) : null;
  }

  get container() {
    return this.#container.value;
  }

  get device() {
    return this.#device.value;
  }

  get kinds() {
    const boxes = /** @type {NodeListOf<HTMLInputElement>} */ (
      document.querySelectorAll('input[name=kind]:checked')
    );
    return new Set([...boxes].map((box) => box.value));
  }

  /** Wants every container and device again. */
  widen() {
    this.clear();
    this.onChange();
  }

  /** The same before another rig is shown. */
  clear() {
    this.#container.value = '';
    this.#device.value = '';
    offer(this.#container, []);
    offer(this.#device, []);
  }

  /** The containers and devices that can be chosen; what is chosen stays. @param {readonly string[]} containers @param {readonly string[]} devices */
  offer(containers, devices) {
    offer(this.#container, containers);
    offer(this.#device, devices);
  }
}

/** @param {HTMLSelectElement} select @param {readonly string[]} values */
function offer(select, values) {
  const chosen = select.value;
  const wanted = ['', ...new Set([...values, ...(chosen === '' ? [] : [chosen])])].sort(byName);
  const shown = [...select.options].map(({ value }) => value);
  if (wanted.join('\n') === shown.join('\n')) return;
  const options = wanted.map((value) => {
    const option = element('option', '', value === '' ? 'all' : value);
    option.value = value;
    return option;
  });
  select.replaceChildren(...options);
  select.value = chosen;
}
