// Makes and finds elements.

/**
 * Makes an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** @param {string} text @param {string} label */
export function button(text, label) {
  const made = element('button', 'small', text);
  made.type = 'button';
  made.setAttribute('aria-label', label);
  made.title = label;
  return made;
}

/** @template {HTMLElement} T @param {string} id @returns {T} */
export const byId = (id) => /** @type {T} */ (document.getElementById(id));

/** Changes a text only where it is another one: what is read aloud is not read again. @param {HTMLElement} where @param {string} text */
export function setText(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/** Names in the order in which people look for them: c2 before c10. */
export const { compare: byName } = new Intl.Collator('en', { numeric: true });
