// The strip of a container: its mappings and pins on a canvas, zoomable, by pointer and by keyboard.

/** @typedef {import('./layout.js').Layout} Layout */

const BAND_TOP = 4;
const BAND_HEIGHT = 40;
const LANE_HEIGHT = 9;
const LANE_GAP = 2;
const LANES_MAX = 8;
const AXIS_HEIGHT = 18;
const OVERVIEW_HEIGHT = 8;
/** Widest a unit is drawn, pixels: a single page does not fill the page. */
const UNIT_MAX = 96;
/** Below this a mapping is not drawn by itself but as part of its pixel's shade. */
const ALONE_MIN = 2.5;
const ZOOM_STEP = 1.6;
/** Between two addresses below the strip, and the least gap that gets its dots, pixels. */
const LABEL_GAP = 14;
const DOTS_MIN = 12;
const COLOURS = ['band', 'band-r', 'ink', 'quiet', 'accent', 'live', 'fatal', 'panel', 'track'];
/** Number of colours for devices; with more devices they are used again, in other lanes. */
export const DEVICE_COLOURS = 8;

/** Colours by name, from the style sheet. @type {Record<string, string>} */
const colours = {};

/** Reads the colours anew; call it when the colour scheme changes. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of COLOURS) colours[name] = style.getPropertyValue(`--${name}`).trim();
  for (let i = 0; i < DEVICE_COLOURS; i++) colours[`dev-${i}`] = style.getPropertyValue(`--dev-${i}`).trim();
}

export class Strip {
  /** @type {Layout | null} */
  #layout = null;
  /** Units in the middle of nothing: the left edge, and how far it is zoomed in. */
  #left = 0;
  #zoom = 1;
  #width = 0;
  #height = 0;
  #drawing = false;
  /** @type {{ x: number, left: number, moved: boolean } | null} */
  #drag = null;
  /** @type {string[]} Devices by lane. */
  #lanes = [];
  /** @type {Set<bigint>} Mappings that a round is at. */
  #live = new Set();
  #wedged = false;
  selected = -1;
  hovered = -1;
  /** @type {string | null} The only device whose pins are wanted. */
  device = null;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(device: string) => number} colourOf
   * @param {(how: 'hover' | 'key' | 'click') => void} onPick told when another mapping is selected or hovered
   */
  constructor(canvas, colourOf, onPick) {
    this.canvas = canvas;
    this.colourOf = colourOf;
    this.onPick = onPick;
    new ResizeObserver(() => this.#resize()).observe(canvas);
    canvas.addEventListener('pointermove', (event) => this.#pointerMove(event));
    canvas.addEventListener('pointerleave', () => this.#hover(-1));
    canvas.addEventListener('pointerdown', (event) => this.#pointerDown(event));
    canvas.addEventListener('pointerup', (event) => this.#pointerUp(event));
    canvas.addEventListener('pointercancel', () => {
      this.#drag = null;
    });
    canvas.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener('keydown', (event) => this.#key(event));
    canvas.addEventListener('focus', () => {
      if (this.selected < 0 && this.#layout?.count) this.select(0, 'key');
    });
  }

  /** @param {Layout} layout @param {string[]} devices @param {boolean} wedged */
  show(layout, devices, wedged) {
    const before = this.#layout;
    // The selection stays at its mapping, and the view on what it shows, while others come and go.
    const kept = before && this.selected >= 0 ? before.iova[this.selected] : null;
    const anchor = before && this.#zoom > 1 ? before.before(this.#left) : -1;
    const anchorIova = before && anchor >= 0 ? before.iova[anchor] : null;
    const offset = before && anchor >= 0 ? this.#left - before.start[anchor] : 0;
    const shown = before ? before.units / this.#zoom : 0;
    this.#layout = layout;
    this.#lanes = devices;
    this.#wedged = wedged;
    this.hovered = -1;
    this.selected = -1;
    if (kept !== null) {
      const index = layout.containing(kept);
      if (index >= 0 && layout.iova[index] === kept) this.selected = index;
    }
    if (anchorIova !== null && shown > 0) {
      this.#zoom = Math.max(1, layout.units / shown);
      const index = layout.containing(anchorIova);
      if (index >= 0) this.#left = layout.start[index] + offset;
    }
    this.#clamp();
    this.#fitHeight();
    this.draw();
  }

  /** @param {bigint[]} iovas */
  mark(iovas) {
    this.#live = new Set(iovas);
    this.draw();
  }

  get zoomed() {
    return this.#zoom > 1.001;
  }

  #fitHeight() {
    const lanes = Math.min(this.#lanes.length, LANES_MAX);
    const height = BAND_TOP + BAND_HEIGHT + lanes * (LANE_HEIGHT + LANE_GAP) + AXIS_HEIGHT + OVERVIEW_HEIGHT;
    this.canvas.style.height = `${height}px`;
    this.#resize();
  }

  #resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const ratio = devicePixelRatio || 1;
    if (clientWidth === 0) return;
    this.#width = clientWidth;
    this.#height = clientHeight;
    const width = Math.round(clientWidth * ratio);
    const height = Math.round(clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.#clamp();
    this.draw();
  }

  /** Pixels a unit takes. */
  get #scale() {
    const units = this.#layout?.units ?? 1;
    return Math.min(this.#width / Math.max(units, 1e-9), UNIT_MAX) * this.#zoom;
  }

  #clamp() {
    const units = this.#layout?.units ?? 0;
    this.#left = Math.max(0, Math.min(this.#left, units - this.#width / this.#scale));
  }

  /** Zooms around a pixel; the middle where none is said. @param {number} factor @param {number} [x] */
  zoomBy(factor, x = this.#width / 2) {
    const most = Math.max(1, ((this.#layout?.units ?? 1) * UNIT_MAX) / Math.max(1, this.#width));
    const unit = this.#left + x / this.#scale;
    this.#zoom = Math.max(1, Math.min(this.#zoom * factor, most));
    this.#left = unit - x / this.#scale;
    this.#clamp();
    this.draw();
    this.onPick('hover');
  }

  fit() {
    this.#zoom = 1;
    this.#left = 0;
    this.draw();
    this.onPick('hover');
  }

  /** Selects a mapping and moves the view so that it is seen. @param {number} index @param {'key' | 'click'} how */
  select(index, how) {
    const layout = this.#layout;
    if (!layout || index < 0 || index >= layout.count) return;
    this.selected = index;
    const from = layout.start[index];
    const to = from + layout.width[index];
    const span = this.#width / this.#scale;
    if (from < this.#left || to > this.#left + span) this.#left = (from + to) / 2 - span / 2;
    this.#clamp();
    this.draw();
    this.onPick(how);
  }

  /** Mappings that share a pixel with one. @param {number} index */
  crowd(index) {
    const layout = this.#layout;
    if (!layout) return 1;
    const pixel = 1 / this.#scale;
    const from = Math.floor((layout.start[index] - this.#left) / pixel) * pixel + this.#left;
    return Math.max(1, layout.before(from + pixel) - Math.max(0, layout.before(from)));
  }

  /** @param {number} x */
  #unitAt(x) {
    return this.#left + x / this.#scale;
  }

  /** @param {number} index */
  #hover(index) {
    if (index === this.hovered) return;
    this.hovered = index;
    this.draw();
    this.onPick('hover');
  }

  /** @param {PointerEvent} event */
  #pointerMove(event) {
    if (this.#drag) {
      const moved = event.offsetX - this.#drag.x;
      if (Math.abs(moved) > 3) this.#drag.moved = true;
      if (this.#drag.moved) {
        this.#left = this.#drag.left - moved / this.#scale;
        this.#clamp();
        this.draw();
        return;
      }
    }
    this.#hover(this.#layout?.at(this.#unitAt(event.offsetX)) ?? -1);
  }

  /** @param {PointerEvent} event */
  #pointerDown(event) {
    this.#drag = { x: event.offsetX, left: this.#left, moved: false };
    this.canvas.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #pointerUp(event) {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag || drag.moved) return;
    this.select(this.#layout?.at(this.#unitAt(event.offsetX)) ?? -1, 'click');
  }

  /** The wheel scrolls the page; with Ctrl it zooms, sideways or with Shift it moves. @param {WheelEvent} event */
  #wheel(event) {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey || event.metaKey) this.zoomBy(1.002 ** -event.deltaY, event.offsetX);
    else if (sideways !== 0 && this.zoomed) {
      this.#left += sideways / this.#scale;
      this.#clamp();
      this.draw();
    } else return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const layout = this.#layout;
    if (!layout || event.ctrlKey || event.metaKey || event.altKey) return;
    const last = layout.count - 1;
    const far = Math.max(1, Math.ceil(layout.count / 20));
    const to = { ArrowLeft: -1, ArrowRight: 1, PageUp: -far, PageDown: far }[event.key];
    if (to !== undefined) this.select(Math.max(0, Math.min(last, this.selected + to)), 'key');
    else if (event.key === 'Home') this.select(0, 'key');
    else if (event.key === 'End') this.select(last, 'key');
    else if (event.key === 'p' || event.key === 'P') this.#nextPinned(event.key === 'p' ? 1 : -1);
    else if (event.key === '+' || event.key === '=') this.zoomBy(ZOOM_STEP, this.#selectedX());
    else if (event.key === '-') this.zoomBy(1 / ZOOM_STEP, this.#selectedX());
    else if (event.key === '0') this.fit();
    else return;
    event.preventDefault();
  }

  #selectedX() {
    const layout = this.#layout;
    if (!layout || this.selected < 0) return undefined;
    const x = (layout.start[this.selected] + layout.width[this.selected] / 2 - this.#left) * this.#scale;
    return x >= 0 && x <= this.#width ? x : undefined;
  }

  /** @param {1 | -1} step */
  #nextPinned(step) {
    const layout = this.#layout;
    if (!layout) return;
    for (let i = this.selected + step; i >= 0 && i < layout.count; i += step) {
      if (layout.pinned[i] > 0) return this.select(i, 'key');
    }
  }

  /** Draws at the next frame. */
  draw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#paint();
    });
  }

  #paint() {
    const layout = this.#layout;
    const context = this.canvas.getContext('2d');
    if (!context || !layout || this.#width === 0) return;
    if (colours.ink === undefined) readColours();
    const ratio = devicePixelRatio || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.#width, this.#height);
    context.fillStyle = colours.track;
    context.fillRect(0, BAND_TOP, this.#width, BAND_HEIGHT);
    const first = Math.max(0, layout.before(this.#left));
    const last = layout.before(this.#left + this.#width / this.#scale);
    this.#paintMappings(context, layout, first, last);
    this.#paintPins(context, layout, first, last);
    this.#paintMarks(context, layout, first, last);
    if (this.#wedged) this.#paintWedged(context);
    if (this.zoomed) this.#paintOverview(context, layout);
    this.canvas.dataset.painted = String(layout.answer.seq);
  }

  /** @param {CanvasRenderingContext2D} context @param {Layout} layout @param {number} first @param {number} last */
  #paintMappings(context, layout, first, last) {
    const scale = this.#scale;
    const columns = new Float32Array(Math.ceil(this.#width) + 1);
    let labelEnd = -LABEL_GAP;
    const axis = this.#height - OVERVIEW_HEIGHT - 5;
    context.font = '11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';
    for (let i = first; i <= last; i++) {
      const x = (layout.start[i] - this.#left) * scale;
      const width = layout.width[i] * scale;
      if (width < ALONE_MIN) {
        const column = Math.max(0, Math.min(columns.length - 1, Math.floor(x)));
        columns[column] += width;
      } else {
        context.fillStyle = (layout.flags[i] & 3) === 3 ? colours.band : colours['band-r'];
        context.fillRect(x + 0.5, BAND_TOP, Math.max(1, width - 1), BAND_HEIGHT);
        if ((layout.flags[i] & 3) !== 3 && width > 6) {
          context.strokeStyle = colours.band;
          context.lineWidth = 1;
          context.strokeRect(x + 1, BAND_TOP + 0.5, width - 2, BAND_HEIGHT - 1);
        }
        if (layout.flags[i] & 4) hatch(context, x + 0.5, BAND_TOP, width - 1, BAND_HEIGHT, colours.quiet);
      }
      this.#paintGap(context, layout, i, x);
      const at = Math.max(x, 0);
      if (at < labelEnd + LABEL_GAP) continue;
      const text = `0x${layout.iova[i].toString(16)}`;
      const size = context.measureText(text).width;
      if (at + size > this.#width) continue;
      context.fillStyle = colours.quiet;
      context.fillText(text, at + 0.5, axis);
      context.fillRect(at, axis - 11, 1, 3);
      labelEnd = at + size;
    }
    context.fillStyle = colours.band;
    for (let x = 0; x < columns.length; x++) {
      if (columns[x] === 0) continue;
      context.globalAlpha = Math.min(1, 0.35 + 0.65 * columns[x]);
      context.fillRect(x, BAND_TOP, 1, BAND_HEIGHT);
    }
    context.globalAlpha = 1;
  }

  /**
   * Dots in the gap below a mapping: it is longer than it looks.
   * @param {CanvasRenderingContext2D} context @param {Layout} layout @param {number} index @param {number} x
   */
  #paintGap(context, layout, index, x) {
    if (index === 0) return;
    const gap = (layout.start[index] - layout.start[index - 1] - layout.width[index - 1]) * this.#scale;
    if (gap < DOTS_MIN) return;
    context.fillStyle = colours.quiet;
    for (const offset of [-4, 0, 4]) {
      context.fillRect(x - gap / 2 + offset - 0.75, BAND_TOP + BAND_HEIGHT / 2 - 0.75, 1.5, 1.5);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {Layout} layout @param {number} first @param {number} last */
  #paintPins(context, layout, first, last) {
    if (this.#lanes.length === 0) return;
    const scale = this.#scale;
    const { pins, holders } = layout.answer;
    const laneOf = new Map(this.#lanes.map((device, lane) => [device, Math.min(lane, LANES_MAX - 1)]));
    const drawnTo = new Float64Array(LANES_MAX).fill(-1);
    const top = BAND_TOP + BAND_HEIGHT + LANE_GAP;
    const lanes = Math.min(this.#lanes.length, LANES_MAX);
    context.fillStyle = colours.track;
    for (let lane = 0; lane < lanes; lane++) {
      context.fillRect(0, top + lane * (LANE_HEIGHT + LANE_GAP) + LANE_HEIGHT - 1, this.#width, 1);
    }
    const end = last < 0 ? 0 : layout.firstRun[last + 1];
    for (let run = layout.firstRun[first]; run < end; run++) {
      const x = (layout.runStart[run] - this.#left) * scale;
      const width = Math.max(3, layout.runWidth[run] * scale - 1);
      for (const { device } of holders[pins.holders[run]]) {
        const lane = laneOf.get(device);
        if (lane === undefined || x + width <= drawnTo[lane] + 1) continue;
        drawnTo[lane] = x + width;
        context.globalAlpha = this.device !== null && this.device !== device ? 0.2 : 1;
        context.fillStyle = colours[`dev-${this.colourOf(device)}`];
        context.fillRect(x + 0.5, top + lane * (LANE_HEIGHT + LANE_GAP), width, LANE_HEIGHT - 1);
      }
    }
    context.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} context @param {Layout} layout @param {number} first @param {number} last */
  #paintMarks(context, layout, first, last) {
    const outline = (
      /** @type {number} */ index,
      /** @type {string} */ colour,
      /** @type {number} */ line,
    ) => {
      if (index < first || index > last) return;
      const x = (layout.start[index] - this.#left) * this.#scale;
      const width = Math.max(3, layout.width[index] * this.#scale);
      context.strokeStyle = colour;
      context.lineWidth = line;
      context.strokeRect(x + line / 2, BAND_TOP + line / 2 - 2, width - line, BAND_HEIGHT + 4 - line);
    };
    for (const iova of this.#live) {
      const index = layout.containing(iova);
      if (index < 0) continue;
      outline(index, colours[this.#wedged ? 'fatal' : 'live'], 3);
    }
    if (this.hovered >= 0) outline(this.hovered, colours.quiet, 1);
    if (this.selected >= 0) outline(this.selected, colours.accent, 2);
  }

  /** @param {CanvasRenderingContext2D} context */
  #paintWedged(context) {
    context.globalAlpha = 0.5;
    hatch(context, 0, BAND_TOP, this.#width, BAND_HEIGHT, colours.fatal);
    context.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} context @param {Layout} layout */
  #paintOverview(context, layout) {
    const top = this.#height - OVERVIEW_HEIGHT + 3;
    const from = (this.#left / layout.units) * this.#width;
    const width = Math.max(6, (this.#width / this.#scale / layout.units) * this.#width);
    context.fillStyle = colours.track;
    context.fillRect(0, top, this.#width, 4);
    context.fillStyle = colours.accent;
    context.fillRect(Math.min(from, this.#width - width), top, width, 4);
  }
}

/**
 * Diagonal lines over a rectangle.
 * @param {CanvasRenderingContext2D} context
 * @param {number} x @param {number} y @param {number} width @param {number} height @param {string} colour
 */
function hatch(context, x, y, width, height, colour) {
  context.save();
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.strokeStyle = colour;
  context.lineWidth = 1.5;
  context.beginPath();
  for (let at = x - height; at < x + width; at += 9) {
    context.moveTo(at, y + height);
    context.lineTo(at + height, y);
  }
  context.stroke();
  context.restore();
}
