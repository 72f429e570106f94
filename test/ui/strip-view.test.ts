import { describe, expect, test } from 'vitest';
import { StripView } from '../../ui/strip-view.js';
import { layoutWith, manyMappings } from './layouts.ts';

/** A view of a layout, this many pixels wide. */
function viewOf(layout: ReturnType<typeof layoutWith>, width = 1000): StripView {
  const view = new StripView();
  view.show(layout);
  view.resize(width);
  return view;
}

describe('fit and zoom', () => {
  test('all is shown at first, and nothing is wider than a unit may be', () => {
    const many = viewOf(layoutWith(manyMappings(2000)));
    expect(many.span).toBeCloseTo(many.layout!.units);
    expect(many.zoomed).toBe(false);
    const single = viewOf(layoutWith([[0x1000, 0x1000]]));
    expect(single.xOf(single.layout!.units)).toBe(96);
  });

  test('zoom keeps the unit at its pixel, and stops at the ends', () => {
    const view = viewOf(layoutWith(manyMappings(2000)));
    const unit = view.unitAt(300);
    view.zoomBy(4, 300);
    expect(view.zoom).toBe(4);
    expect(view.unitAt(300)).toBeCloseTo(unit);
    view.zoomBy(1 / 64, 300);
    expect([view.zoom, view.left]).toEqual([1, 0]);
    view.zoomBy(1e9);
    expect(view.scale).toBeCloseTo(96);
    view.fit();
    expect([view.zoom, view.left]).toEqual([1, 0]);
  });

  test('it is moved no further than there is something to see', () => {
    const view = viewOf(layoutWith(manyMappings(2000)));
    view.zoomBy(10);
    view.moveBy(-1e9);
    expect(view.left).toBe(0);
    view.moveBy(1e9);
    expect(view.left + view.span).toBeCloseTo(view.layout!.units);
    expect(view.shown.last).toBe(1999);
  });

  test('without a width or a layout nothing moves', () => {
    const view = new StripView();
    view.zoomBy(2);
    expect([view.zoom, view.left, view.at(5), view.target('End')]).toEqual([1, 0, -1, -1]);
    expect(view.shown).toEqual({ first: 0, last: -1 });
    view.show(layoutWith(manyMappings(3)));
    view.zoomBy(2);
    expect(view.left).toBe(0);
  });
});

describe('what is at a pixel', () => {
  test('a mapping is hit from its first to its last pixel, a gap is not', () => {
    const view = viewOf(layoutWith(manyMappings(20)));
    const { start, width } = view.layout!;
    const [from, to] = [view.xOf(start[7]!), view.xOf(start[7]! + width[7]!)];
    expect([view.at(from + 0.01), view.at(to - 0.01), view.at(to + 0.5)]).toEqual([7, 7, -1]);
    expect(view.at(-1)).toBe(-1);
  });

  test('what is shown begins with the mapping the left edge cuts', () => {
    const view = viewOf(layoutWith(manyMappings(2000)));
    view.zoomBy(20, 0);
    const { start, width } = view.layout!;
    view.moveTo(start[500]! + width[500]! / 2);
    expect(view.shown.first).toBe(500);
    const last = view.shown.last;
    expect(start[last]!).toBeLessThanOrEqual(view.left + view.span);
    expect(start[last + 1]!).toBeGreaterThan(view.left + view.span);
  });

  test('a crowd is every mapping that starts in the same pixel, whichever of them is asked', () => {
    const view = viewOf(layoutWith(manyMappings(2000)), 100);
    const { start } = view.layout!;
    for (const index of [0, 7, 1000, 1999]) {
      const pixel = Math.floor(view.xOf(start[index]!));
      const expected = [...start].filter((unit) => Math.floor(view.xOf(unit)) === pixel).length;
      expect(view.crowd(index), `mapping ${index}`).toBe(expected);
    }
    expect(viewOf(layoutWith(manyMappings(3))).crowd(1)).toBe(1);
  });
});

describe('selection', () => {
  test.each([
    ['ArrowRight', 50, 51],
    ['ArrowLeft', 50, 49],
    ['ArrowLeft', 0, 0],
    ['ArrowRight', 99, 99],
    ['ArrowRight', -1, 0],
    ['PageDown', 50, 55],
    ['PageUp', 2, 0],
    ['PageDown', 98, 99],
    ['Home', 50, 0],
    ['End', 50, 99],
    ['p', 50, 70],
    ['p', 70, -1],
    ['P', 70, 10],
    ['x', 50, -1],
  ])('%s from %i goes to %i', (key, from, to) => {
    const pins = [10, 70].map((m) => [m, 0x10000 + m * 0x2000, 1, 'd0'] as const);
    const view = viewOf(layoutWith(manyMappings(100), pins));
    view.selected = from;
    expect(view.target(key)).toBe(to);
  });

  test('what is selected is brought into view', () => {
    const view = viewOf(layoutWith(manyMappings(2000)));
    view.zoomBy(50, 0);
    expect(view.select(1500)).toBe(true);
    expect(view.selectedX).toBeGreaterThan(0);
    expect(view.selectedX).toBeLessThan(1000);
    expect([view.select(2000), view.select(-1), view.selected]).toEqual([false, false, 1500]);
    view.moveTo(0);
    expect(view.selectedX).toBeUndefined();
  });

  test('selection and view stay at their mappings while others come and go', () => {
    const specs = manyMappings(2000);
    const view = viewOf(layoutWith(specs));
    view.zoomBy(40, 0);
    view.select(1000);
    const x = view.selectedX!;
    const { scale } = view;
    view.show(layoutWith(specs.slice(100)));
    expect(view.selected).toBe(900);
    expect(view.scale).toBeCloseTo(scale);
    expect(view.selectedX).toBeCloseTo(x);
    view.show(layoutWith(specs.filter((_, i) => i !== 1000)));
    expect(view.selected).toBe(-1);
  });

  test('another mapping in the place of the selected one is not it', () => {
    const view = viewOf(layoutWith([[0x10000, 0x2000]]));
    view.select(0);
    view.show(layoutWith([[0xf000, 0x3000]]));
    expect(view.selected).toBe(-1);
  });
});
