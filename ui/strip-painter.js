// Paints what a strip's view shows onto its canvas.

/** @typedef {import('./layout.js').Layout} Layout */
/** @typedef {import('./strip-view.js').StripView} StripView */

/**
 * What is painted over the view: devices by lane, their colours, the one whose pins are wanted (null: all),
 * mappings that a round is at, and whether the container is wedged.
 * @typedef {{
 *   lanes: readonly string[], colourOf: (device: string) => number, device: string | null,
 *   live: ReadonlySet<bigint>, wedged: boolean,
 * }} Overlay
 */

const BAND_TOP = 4;
const BAND_HEIGHT = 40;
const LANE_HEIGHT = 9;
const LANE_GAP = 2;
const LANES_MAX = 8;
const AXIS_HEIGHT = 18;
const OVERVIEW_HEIGHT = 8;
/** Below this a mapping is not drawn by itself but as part of its pixel's shade. */
const ALONE_MIN = 2.5;
/** Between two addresses below the strip, and the least gap that gets its dots, pixels. */
const LABEL_GAP = 14;
const DOTS_MIN = 12;
const FONT = '11px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace';
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

/** Pixels a strip is high. @param {number} devices that have a lane */
export function heightWith(devices) {
  const lanes = Math.min(devices, LANES_MAX) * (LANE_HEIGHT + LANE_GAP);
  return BAND_TOP + BAND_HEIGHT + lanes + AXIS_HEIGHT + OVERVIEW_HEIGHT;
}

/**
 * Paints a strip.
 * @param {CanvasRenderingContext2D} context @param {StripView} view @param {number} height pixels
 * @param {number} ratio of the canvas's pixels to the page's @param {Overlay} overlay
 */
export function paintStrip(context, view, height, ratio, overlay) {
  const { layout } = view;
  if (!layout) return;
  if (colours.ink === undefined) readColours();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, view.width, height);
  new Painter(context, view, layout, height, overlay).paint();
}

class Painter {
  /**
   * @param {CanvasRenderingContext2D} context @param {StripView} view @param {Layout} layout
   * @param {number} height @param {Overlay} overlay
   */
  constructor(context, view, layout, height, overlay) {
    this.context = context;
    this.view = view;
    this.layout = layout;
    this.height = height;
    this.overlay = overlay;
    this.shown = view.shown;
  }

  paint() {
    this.#fill(colours.track, 0, BAND_TOP, this.view.width, BAND_HEIGHT);
    this.#mappings();
    this.#axis();
    this.#pins();
    this.#marks();
    if (this.overlay.wedged) this.#wedged();
    if (this.view.zoomed) this.#overview();
  }

  /** @param {string} colour @param {number} x @param {number} y @param {number} width @param {number} height */
  #fill(colour, x, y, width, height) {
    this.context.fillStyle = colour;
    this.context.fillRect(x, y, width, height);
  }

  #mappings() {
    const { layout, view, shown } = this;
    const columns = new Float32Array(Math.ceil(view.width) + 1);
    for (let i = shown.first; i <= shown.last; i++) {
      const x = view.xOf(layout.start[i]);
      const width = layout.width[i] * view.scale;
      if (width < ALONE_MIN) {
        columns[Math.max(0, Math.min(columns.length - 1, Math.floor(x)))] += width;
      } else this.#mapping(i, x, width);
      this.#gap(i, x);
    }
    for (let x = 0; x < columns.length; x++) {
      if (columns[x] === 0) continue;
      this.context.globalAlpha = Math.min(1, 0.35 + 0.65 * columns[x]);
      this.#fill(colours.band, x, BAND_TOP, 1, BAND_HEIGHT);
    }
    this.context.globalAlpha = 1;
  }

  /** @param {number} index @param {number} x @param {number} width */
  #mapping(index, x, width) {
    const { context, layout } = this;
    const whole = layout.readWrite(index);
    this.#fill(
      whole ? colours.band : colours['band-r'],
      x + 0.5,
      BAND_TOP,
      Math.max(1, width - 1),
      BAND_HEIGHT,
    );
    if (!whole && width > 6) {
      context.strokeStyle = colours.band;
      context.lineWidth = 1;
      context.strokeRect(x + 1, BAND_TOP + 0.5, width - 2, BAND_HEIGHT - 1);
    }
    if (layout.vaddrInvalid(index) || layout.closed(index)) {
      hatch(context, x + 0.5, BAND_TOP, width - 1, BAND_HEIGHT, colours.quiet);
    }
  }

  /** Dots in the gap below a mapping: it is longer than it looks. @param {number} index @param {number} x */
  #gap(index, x) {
    if (index === 0) return;
    const { layout, view } = this;
    const gap = (layout.start[index] - layout.start[index - 1] - layout.width[index - 1]) * view.scale;
    if (gap < DOTS_MIN) return;
    for (const offset of [-4, 0, 4]) {
      this.#fill(colours.quiet, x - gap / 2 + offset - 0.75, BAND_TOP + BAND_HEIGHT / 2 - 0.75, 1.5, 1.5);
    }
  }

  /** The addresses at which mappings start, as many as there is room for. */
  #axis() {
    const { context, layout, view, shown } = this;
    const y = this.height - OVERVIEW_HEIGHT - 5;
    context.font = FONT;
    let labelEnd = -LABEL_GAP;
    for (let i = shown.first; i <= shown.last; i++) {
      const at = Math.max(view.xOf(layout.start[i]), 0);
      if (at < labelEnd + LABEL_GAP) continue;
      const text = `0x${layout.iova[i].toString(16)}`;
      const size = context.measureText(text).width;
      if (at + size > view.width) continue;
      context.fillStyle = colours.quiet;
      context.fillText(text, at + 0.5, y);
      context.fillRect(at, y - 11, 1, 3);
      labelEnd = at + size;
    }
  }

  #pins() {
    const { context, layout, view, shown } = this;
    const { lanes, colourOf, device: wanted } = this.overlay;
    if (lanes.length === 0) return;
    const { pins, holders } = layout.answer;
    const laneOf = new Map(lanes.map((device, lane) => [device, Math.min(lane, LANES_MAX - 1)]));
    const drawnTo = new Float64Array(LANES_MAX).fill(-1);
    const top = (/** @type {number} */ lane) =>
      BAND_TOP + BAND_HEIGHT + LANE_GAP + lane * (LANE_HEIGHT + LANE_GAP);
    for (let lane = 0; lane < Math.min(lanes.length, LANES_MAX); lane++) {
      this.#fill(colours.track, 0, top(lane) + LANE_HEIGHT - 1, view.width, 1);
    }
    const end = shown.last < 0 ? 0 : layout.firstRun[shown.last + 1];
    for (let run = layout.firstRun[shown.first]; run < end; run++) {
      const x = view.xOf(layout.runStart[run]);
      const width = Math.max(3, layout.runWidth[run] * view.scale - 1);
      for (const { device } of holders[pins.holders[run]]) {
        const lane = laneOf.get(device);
        if (lane === undefined || x + width <= drawnTo[lane] + 1) continue;
        drawnTo[lane] = x + width;
        context.globalAlpha = wanted !== null && wanted !== device ? 0.2 : 1;
        this.#fill(colours[`dev-${colourOf(device)}`], x + 0.5, top(lane), width, LANE_HEIGHT - 1);
      }
    }
    context.globalAlpha = 1;
  }

  /** Outlines of the mappings that a round is at, and of the hovered and the selected one. */
  #marks() {
    const { layout, view } = this;
    const { live, wedged } = this.overlay;
    for (const iova of live) this.#outline(layout.containing(iova), colours[wedged ? 'fatal' : 'live'], 3);
    this.#outline(view.hovered, colours.quiet, 1);
    this.#outline(view.selected, colours.accent, 2);
  }

  /** @param {number} index @param {string} colour @param {number} line */
  #outline(index, colour, line) {
    const { context, layout, view, shown } = this;
    if (index < 0 || index < shown.first || index > shown.last) return;
    const x = view.xOf(layout.start[index]);
    const width = Math.max(3, layout.width[index] * view.scale);
    context.strokeStyle = colour;
    context.lineWidth = line;
    context.strokeRect(x + line / 2, BAND_TOP + line / 2 - 2, width - line, BAND_HEIGHT + 4 - line);
  }

  #wedged() {
    const { context, view } = this;
    context.globalAlpha = 0.5;
    hatch(context, 0, BAND_TOP, view.width, BAND_HEIGHT, colours.fatal);
    context.globalAlpha = 1;
  }

  /** Where in the whole the view is. */
  #overview() {
    const { layout, view } = this;
    const top = this.height - OVERVIEW_HEIGHT + 3;
    const width = Math.max(6, (view.span / layout.units) * view.width);
    const from = Math.min((view.left / layout.units) * view.width, view.width - width);
    this.#fill(colours.track, 0, top, view.width, 4);
    this.#fill(colours.accent, from, top, width, 4);
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
