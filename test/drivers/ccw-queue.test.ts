import { expect, test } from 'vitest';
import { ChannelSubsystem, type WorkKind } from '../../src/drivers/vfio-ccw/channel-subsystem.ts';

/** The thread, and two devices whose works are noted as they run. */
function rigOf() {
  const css = new ChannelSubsystem();
  const ran: string[] = [];
  const ownerOf = (id: string) => ({
    id,
    *work(kind: WorkKind) {
      ran.push(`${id} ${kind}`);
    },
  });
  const api = {} as never;
  const through = <T>(steps: Generator<unknown, T>) => {
    const { done, value } = steps.next();
    if (!done) throw new Error('it waits');
    return value;
  };
  return { css, ran, a: ownerOf('a'), b: ownerOf('b'), ownerOf, api, through };
}

test('works run in the order in which they were queued, each once', () => {
  const { css, ran, a, b, api, through } = rigOf();
  css.queueWork(a, 'io');
  css.queueWork(b, 'io');
  css.queueWork(a, 'notoper');
  css.queueWork(a, 'io');
  expect([css.placeOf('a', 'io'), css.placeOf('b', 'io'), css.placeOf('a', 'notoper')]).toEqual([0, 1, 2]);
  expect([css.isQueued('b', 'io'), css.isQueued('b', 'notoper'), css.placeOf('b', 'notoper')]).toEqual([
    ...[true, false, null],
  ]);
  expect(through(css.flush(api))).toBe(3);
  expect(ran).toEqual(['a io', 'b io', 'a notoper']);
  expect(through(css.flush(api))).toBe(0);
});

test('flushing one work runs those before it, and none behind it; one that is not queued, nothing', () => {
  const { css, ran, a, b, api, through } = rigOf();
  for (const owner of [a, b]) for (const kind of ['io', 'notoper'] as const) css.queueWork(owner, kind);
  through(css.flushWork('c', 'io', api));
  expect(ran).toEqual([]);
  through(css.flushWork('b', 'io', api));
  expect(ran).toEqual(['a io', 'a notoper', 'b io']);
});

test('works that are queued meanwhile wait for the next time, those that are cancelled do not run', () => {
  const { css, ran, a, b, api, through } = rigOf();
  css.queueWork(
    {
      ...a,
      *work() {
        css.queueWork(b, 'io');
        css.cancel('b', 'notoper');
      },
    },
    'io',
  );
  css.queueWork(b, 'notoper');
  css.cancel('a', 'notoper');
  expect(through(css.flush(api))).toBe(2);
  expect(ran).toEqual(['b io']);
});

test('a subchannel has the lowest number that is free, and a device its former one again', () => {
  const css = new ChannelSubsystem();
  const [a, b, c] = ['a', 'b', 'c'].map((device) => css.subchannel(device, true));
  expect([a, b, c].map((sch) => sch!.name)).toEqual(['0.0.0000', '0.0.0001', '0.0.0002']);
  css.remove('b', b!, true);
  expect(css.subchannel('d', true).number).toBe(1);
  a!.lpm = 0;
  css.remove('a', a!, true);
  // It is remembered, and so is its number.
  expect(css.subchannel('e', true).number).toBe(3);
  expect(css.save()).toEqual({ warnedPrefetch: false, former: [{ device: 'a', subchannel: a!.save() }] });
  expect(css.subchannel('a', true)).toBe(a);
  expect(css.save()).toBeNull();
});

test('a device that goes takes its works along, and no others', () => {
  const { css, ran, a, b, api, through } = rigOf();
  for (const owner of [a, b])
    for (const kind of ['io', 'notoper', 'unregister'] as const) css.queueWork(owner, kind);
  css.remove('a', css.subchannel('a', true), true);
  expect(through(css.flush(api))).toBe(3);
  expect(ran).toEqual(['b io', 'b notoper', 'b unregister']);
});

test('256 former subchannels are remembered, then the earliest is forgotten', () => {
  const css = new ChannelSubsystem();
  for (let i = 0; i < 257; i++) {
    const sch = css.subchannel(`d${i}`, true);
    sch.lpm = 0;
    css.remove(`d${i}`, sch, true);
    if (i === 255) expect(css.save()!.former).toHaveLength(256);
  }
  expect(
    css
      .save()!
      .former.map(({ device }) => device)
      .slice(0, 2),
  ).toEqual(['d1', 'd2']);
  expect(css.save()!.former).toHaveLength(256);
});

test('what is saved is restored: former subchannels, and whether prefetching was warned of', () => {
  const css = new ChannelSubsystem();
  css.warnedPrefetch = true;
  expect(css.save()).toEqual({ warnedPrefetch: true, former: [] });
  const sch = css.subchannel('a', true);
  Object.assign(sch, { lpm: 0, unregistering: 'done' });
  sch.csch();
  css.remove('a', sch, true);
  const saved = JSON.parse(JSON.stringify(css.save()));
  const restored = new ChannelSubsystem();
  restored.restore(saved);
  expect(restored.save()).toEqual(saved);
  expect(restored.subchannel('a', false).save()).toEqual(sch.save());
});

test('works are put back in any order, and run in that of their places; a place without one is refused', () => {
  const { css, ran, a, b, api, through } = rigOf();
  css.restoreWork(b, 'io', 1);
  css.restoreWork(a, 'notoper', 2);
  expect([css.restoredAt(0), css.restoredAt(1), css.restoredAt(2)]).toEqual([null, 'b', 'a']);
  css.restoreWork(a, 'io', 0);
  expect([...css.settle()]).toEqual([]);
  expect(css.restoredAt(0)).toBeNull();
  through(css.flush(api));
  expect(ran).toEqual(['a io', 'b io', 'a notoper']);
  css.restoreWork(b, 'io', 0);
  css.restoreWork(a, 'io', 2);
  expect(css.settle().next().value).toMatchObject({
    rule: 'has no work at place 1, but "a" has one at 2',
  });
});

test('works are put back 256 at a time', () => {
  const stops = (count: number) => {
    const { css, ownerOf } = rigOf();
    for (let place = 0; place < count; place++) css.restoreWork(ownerOf(`d${place}`), 'io', place);
    return [...css.settle()].length;
  };
  expect([stops(255), stops(256), stops(512)]).toEqual([0, 1, 2]);
});
