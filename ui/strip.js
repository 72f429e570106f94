// The strip of a container on a canvas: pointer, wheel and keyboard.

import { heightWith, paintStrip } from './strip-painter.js';
import { StripView } from './strip-view.js';

/** @typedef {import('./layout.js').Layout} Layout */

const ZOOM_STEP = 1.6;
/** Pixels a pointer moves before it drags. */
const DRAG_MIN = 3;

export class Strip {
  view = new StripView();
  #drawing = false;
  /** @type {{ x: number, left: number, moved: boolean } | null} */
  #drag = null;
  /** @type {string[]} Devices by lane. */
  #lanes = [];
  /** @type {Set<bigint>} Mappings that a round is at. */
  #live = new Set();
  #wedged = false;
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
      if (this.view.selected < 0) this.select(0, 'key');
    });
  }

  /** @param {Layout} layout @param {string[]} devices @param {boolean} wedged */
  show(layout, devices, wedged) {
    this.view.show(layout);
    this.#lanes = devices;
    this.#wedged = wedged;
    this.canvas.style.height = `${heightWith(devices.length)}px`;
    this.#resize();
    this.draw();
  }

  /** @param {bigint[]} iovas */
  mark(iovas) {
    this.#live = new Set(iovas);
    this.draw();
  }

  #resize() {
    const { clientWidth, clientHeight } = this.canvas;
    const ratio = devicePixelRatio || 1;
    if (clientWidth === 0) return;
    this.view.resize(clientWidth);
    const width = Math.round(clientWidth * ratio);
    const height = Math.round(clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.draw();
  }

  /** Zooms around a pixel; the middle where none is said. @param {number} factor @param {number} [x] */
  zoomBy(factor, x) {
    this.view.zoomBy(factor, x);
    this.draw();
    this.onPick('hover');
  }

  fit() {
    this.view.fit();
    this.draw();
    this.onPick('hover');
  }

  /** Selects a mapping and moves the view so that it is seen. @param {number} index @param {'key' | 'click'} how */
  select(index, how) {
    if (!this.view.select(index)) return;
    this.draw();
    this.onPick(how);
  }

  /** @param {number} index */
  #hover(index) {
    if (index === this.view.hovered) return;
    this.view.hovered = index;
    this.draw();
    this.onPick('hover');
  }

  /** @param {PointerEvent} event */
  #pointerMove(event) {
    if (this.#drag) {
      const moved = event.offsetX - this.#drag.x;
      if (Math.abs(moved) > DRAG_MIN) this.#drag.moved = true;
      if (this.#drag.moved) {
        this.view.moveTo(this.#drag.left - moved / this.view.scale);
        this.draw();
        return;
      }
    }
    this.#hover(this.view.at(event.offsetX));
  }

  /** @param {PointerEvent} event */
  #pointerDown(event) {
    this.#drag = { x: event.offsetX, left: this.view.left, moved: false };
    this.canvas.setPointerCapture(event.pointerId);
  }

  /** @param {PointerEvent} event */
  #pointerUp(event) {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag || drag.moved) return;
    this.select(this.view.at(event.offsetX), 'click');
  }

  /** The wheel scrolls the page; with Ctrl it zooms, sideways or with Shift it moves. @param {WheelEvent} event */
  #wheel(event) {
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey || event.metaKey) this.zoomBy(1.002 ** -event.deltaY, event.offsetX);
    else if (sideways !== 0 && this.view.zoomed) {
      this.view.moveBy(sideways);
      this.draw();
    } else return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = this.view.target(event.key);
    if (target >= 0) this.select(target, 'key');
    else if (event.key === '+' || event.key === '=') this.zoomBy(ZOOM_STEP, this.view.selectedX);
    else if (event.key === '-') this.zoomBy(1 / ZOOM_STEP, this.view.selectedX);
    else if (event.key === '0') this.fit();
    else return;
    event.preventDefault();
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
    const { canvas, view, device, colourOf } = this;
    const context = canvas.getContext('2d');
    if (!context || !view.layout || view.width === 0) return;
    const overlay = { lanes: this.#lanes, colourOf, device, live: this.#live, wedged: this.#wedged };
    paintStrip(context, view, canvas.clientHeight, devicePixelRatio || 1, overlay);
    canvas.dataset.painted = String(view.layout.answer.seq);
  }
}
