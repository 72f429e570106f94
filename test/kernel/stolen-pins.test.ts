import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { type StolenPin, StolenPins } from '../../src/kernel/stolen-pins.ts';
import { fuzz } from '../harness/fuzz.ts';

const small = (max: number) => fc.integer({ min: 0, max });
const pin = fc.record({
  device: small(2),
  page: small(12),
  offset: fc.constantFrom(0, 8),
  npage: fc.constantFrom(1, 2, 9),
});
const step = fc.oneof(
  fc.record({ op: fc.constant('add' as const), pin }),
  fc.record({ op: fc.constant('delete' as const), pin }),
  fc.record({ op: fc.constant('deleteOf' as const), device: small(2) }),
);
const same = (a: StolenPin) => (b: StolenPin) => JSON.stringify(a) === JSON.stringify(b);

test('pins are listed and found oldest first, as in a plain list', () => {
  const parameters = fuzz('stolen pins', 1000);
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      small(2),
      small(14),
      small(30),
      (steps, of, first, pages) => {
        const stolen = new StolenPins();
        let list: StolenPin[] = [];
        for (const one of steps) {
          if (one.op === 'add') {
            stolen.add(one.pin);
            if (!list.some(same(one.pin))) list.push(one.pin);
          } else if (one.op === 'delete') {
            stolen.delete(one.pin);
            list = list.filter((it) => !same(one.pin)(it));
          } else {
            stolen.deleteOf(one.device);
            list = list.filter(({ device }) => device !== one.device);
          }
        }
        expect(stolen.list()).toEqual(list);
        expect(stolen.size).toBe(list.length);
        expect(new Set(stolen.devices())).toEqual(new Set(list.map(({ device }) => device)));
        const hit = ({ device, page, npage }: StolenPin) =>
          device === of && page + npage > first && page < first + pages;
        expect(stolen.within(of, first, pages)).toMatchObject(list.filter(hit));
      },
    ),
    parameters,
  );
});

test('what is asked of one page is looked for there, however many pins were stolen', () => {
  const stolen = new StolenPins();
  for (let page = 0; page < 65_536; page++) stolen.add({ device: 1, page, offset: 0, npage: 1 });
  const values = vi.spyOn(Map.prototype, 'values');
  const get = vi.spyOn(Map.prototype, 'get');
  const found = stolen.within(1, 40_000, 1);
  const of = stolen.within(2, 40_000, 1);
  const looks = [values.mock.calls.length, get.mock.calls.length];
  vi.restoreAllMocks();
  expect(found).toMatchObject([{ page: 40_000 }]);
  expect(of).toEqual([]);
  expect(looks).toEqual([0, 3]);
});
