// What of a container's IOVA space a strip shows: zoom, left edge, units to pixels and back, what is selected.
// No DOM. Units are those of the layout; pixels are the strip's.

/** @typedef {import('./layout.js').Layout} Layout */

/** Widest a unit is drawn, pixels: a single page does not fill the page. */
const UNIT_MAX = 96;
/** Parts of all mappings that one page up or down passes over. */
const FAR_PARTS = 20;

export class StripView {
  /** @type {Layout | null} */
  layout = null;
  /** Pixels of the strip. */
  width = 0;
  /** The unit at the left edge, and how far it is zoomed in: 1 shows all. */
  left = 0;
  zoom = 1;
  /** Indexes of mappings; -1: none. */
  selected = -1;
  hovered = -1;

  /** Takes a newer layout. Selection and view stay at their mappings while others come and go. @param {Layout} layout */
  show(layout) {
    const before = this.layout;
    const kept = before && this.selected >= 0 ? before.iova[this.selected] : null;
    const anchor = before && this.zoomed ? before.before(this.left) : -1;
    this.layout = layout;
    this.hovered = -1;
    this.selected = kept === null ? -1 : layout.startingAt(kept);
    if (before && anchor >= 0) {
      this.zoom = Math.max(1, (this.zoom * layout.units) / before.units);
      const index = layout.containing(before.iova[anchor]);
      if (index >= 0) this.left += layout.start[index] - before.start[anchor];
    }
    this.#clamp();
  }

  /** @param {number} width pixels */
  resize(width) {
    this.width = width;
    this.#clamp();
  }

  /** Pixels a unit takes. */
  get scale() {
    const units = this.layout?.units ?? 1;
    return Math.min(this.width / Math.max(units, 1e-9), UNIT_MAX) * this.zoom;
  }

  get zoomed() {
    return this.zoom > 1.001;
  }

  /** Units that are visible at once. */
  get span() {
    return this.width / this.scale;
  }

  #clamp() {
    if (this.width === 0) return;
    this.left = Math.max(0, Math.min(this.left, (this.layout?.units ?? 0) - this.span));
  }

  /** Zooms around a pixel; the middle where none is said. @param {number} factor @param {number} [x] */
  zoomBy(factor, x = this.width / 2) {
    if (this.width === 0) return;
    const most = Math.max(1, ((this.layout?.units ?? 1) * UNIT_MAX) / this.width);
    const unit = this.unitAt(x);
    this.zoom = Math.max(1, Math.min(this.zoom * factor, most));
    this.moveTo(unit - x / this.scale);
  }

  /** Shows all. */
  fit() {
    this.zoom = 1;
    this.left = 0;
  }

  /** Brings a unit to the left edge, as far as there is something to its right. @param {number} unit */
  moveTo(unit) {
    this.left = unit;
    this.#clamp();
  }

  /** @param {number} pixels positive: to the right */
  moveBy(pixels) {
    this.moveTo(this.left + pixels / this.scale);
  }

  /** Selects a mapping and moves so that it is seen; false where there is none such. @param {number} index */
  select(index) {
    const { layout } = this;
    if (!layout || index < 0 || index >= layout.count) return false;
    this.selected = index;
    const from = layout.start[index];
    const to = from + layout.width[index];
    if (from < this.left || to > this.left + this.span) this.moveTo((from + to - this.span) / 2);
    return true;
  }

  /** @param {number} x pixel */
  unitAt(x) {
    return this.left + x / this.scale;
  }

  /** The pixel of a unit; beyond the edges where it is not seen. @param {number} unit */
  xOf(unit) {
    return (unit - this.left) * this.scale;
  }

  /** The mapping at a pixel, or -1. @param {number} x */
  at(x) {
    return this.layout?.at(this.unitAt(x)) ?? -1;
  }

  /** The first and the last mapping that may be seen; `last` is -1 where there is none. */
  get shown() {
    const { layout, left } = this;
    if (!layout) return { first: 0, last: -1 };
    return { first: Math.max(0, layout.before(left)), last: layout.before(left + this.span) };
  }

  /** Mappings whose left edges share the pixel of one's, itself included. @param {number} index */
  crowd(index) {
    const { layout } = this;
    if (!layout) return 1;
    const pixel = Math.floor(this.xOf(layout.start[index]));
    let count = 1;
    const shares = (/** @type {number} */ i) => Math.floor(this.xOf(layout.start[i])) === pixel;
    for (let i = index - 1; i >= 0 && shares(i); i--) count++;
    for (let i = index + 1; i < layout.count && shares(i); i++) count++;
    return count;
  }

  /** The middle of the selected mapping where it is seen. @returns {number | undefined} pixel */
  get selectedX() {
    const { layout, selected } = this;
    if (!layout || selected < 0) return undefined;
    const x = this.xOf(layout.start[selected] + layout.width[selected] / 2);
    return x >= 0 && x <= this.width ? x : undefined;
  }

  /** The mapping that a key goes to from the selected one; -1 where the key goes nowhere. @param {string} key */
  target(key) {
    const { layout, selected } = this;
    if (!layout || layout.count === 0) return -1;
    const last = layout.count - 1;
    const far = Math.ceil(layout.count / FAR_PARTS);
    switch (key) {
      case 'ArrowLeft':
        return Math.max(0, selected - 1);
      case 'ArrowRight':
        return Math.min(last, selected + 1);
      case 'PageUp':
        return Math.max(0, selected - far);
      case 'PageDown':
        return Math.min(last, selected + far);
      case 'Home':
        return 0;
      case 'End':
        return last;
      case 'p':
        return this.#pinned(1);
      case 'P':
        return this.#pinned(-1);
      default:
        return -1;
    }
  }

  /** The next mapping with pins, or -1. @param {1 | -1} step */
  #pinned(step) {
    const { layout } = this;
    if (!layout) return -1;
    for (let i = this.selected + step; i >= 0 && i < layout.count; i += step) {
      if (layout.pinned[i] > 0) return i;
    }
    return -1;
  }
}
