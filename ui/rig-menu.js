// The menu of rigs, each with its state.

import { byId, byName, element, setText } from './dom.js';
import { getJson } from './feed.js';
import { rigInWords } from './words.js';

/** The rig of whoever names none. */
export const DEFAULT_RIG = 'default';
/** How often the rigs are looked at, milliseconds. */
const LOOK_MS = 5000;

export class RigMenu {
  /** @type {HTMLSelectElement} */
  #select = byId('rig');
  #chosen = DEFAULT_RIG;

  /** @param {(rig: string) => void} onChoose @param {(names: string[]) => void} onList told which rigs there are */
  constructor(onChoose, onList) {
    this.onList = onList;
    const select = this.#select;
    select.addEventListener('change', () => onChoose(select.value));
    for (const kind of ['pointerdown', 'focus']) select.addEventListener(kind, () => void this.#look());
    setInterval(() => {
      // An open menu is not changed under the pointer.
      if (document.visibilityState === 'visible') void this.#look(document.activeElement !== select);
    }, LOOK_MS);
  }

  /** @param {string} rig that is shown now */
  set chosen(rig) {
    this.#chosen = rig;
    void this.#look();
  }

  /** @param {boolean} show whether the menu may change */
  async #look(show = true) {
    try {
      const { rigs } = await getJson('/v1/rigs', null, AbortSignal.timeout(LOOK_MS));
      if (show) this.#show(rigs);
      this.onList(rigs.map((/** @type {import('./words.js').RigView} */ { rig }) => rig));
    } catch {
      // The page says elsewhere that it is not connected.
    }
  }

  /** @param {import('./words.js').RigView[]} rigs */
  #show(rigs) {
    const select = this.#select;
    const states = new Map(rigs.map((one) => [one.rig, rigInWords(one)]));
    const wanted = [...new Set([DEFAULT_RIG, this.#chosen, ...states.keys()])].sort(byName);
    const shown = [...select.options].map(({ value }) => value);
    if (wanted.join('\n') !== shown.join('\n')) {
      const options = wanted.map((name) => {
        const option = element('option');
        option.value = name;
        return option;
      });
      select.replaceChildren(...options);
    }
    // Of the one that is shown the whole page says how it is.
    for (const option of select.options) {
      const state = option.value === this.#chosen ? undefined : states.get(option.value);
      setText(option, state ? `${option.value} — ${state}` : option.value);
    }
    select.value = this.#chosen;
  }
}
