import type { FindingView, VerdictsView, VerdictView } from '../../schemas/verdict.ts';
import { type Findings, isPrinted, type Met } from '../host/findings.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Container } from '../kernel/vfio/container.ts';
import type { Machine } from '../machine/machine.ts';
import type { Expected } from './expectation.ts';

/** What a verdict is about: a machine, what it has met, and of what it may be dead. */
interface Subject {
  readonly name: string;
  readonly host: {
    readonly machine: Machine;
    readonly findings: Findings;
    readonly panicked: string | null;
  };
}

/** What a rig has come to, and whether that is what was expected of it. Stops now and then: many pins are looked at. */
export function* verdictSteps({ name, host }: Subject, expected: Expected): Generator<void, VerdictView> {
  const { machine, findings: met, panicked } = host;
  const { kernel } = machine;
  const containers: Left[] = [];
  for (const container of kernel.containers.values()) {
    containers.push(yield* leftIn(kernel, container, expected));
  }
  const splats = met.splats.filter(({ kind }) => !isPrinted(kind));
  const calls = machine.underway();
  const happened = new Set([...splats, ...met.advisories].map(({ kind }) => kind));
  const missing = expected.missing(happened);
  const findings = [
    ...(panicked === null ? [] : [left('panic', 1, panicked, expected)]),
    ...splats.map((one) => ofKind('splats', one, expected.has(one.kind))),
    ...met.advisories.map((one) => ofKind('advisories', one, expectsAdvisory(one, expected))),
    ...containers.flatMap(({ found }) => found),
    ...(calls.length === 0 ? [] : [left('calls', calls.length, calls.join('; '), expected)]),
    ...met.undelivered.map((one) => ofKind('webhooks', one, expected.has('webhooks'))),
    ...missing.map(missed),
  ];
  return {
    ok: findings.every((finding) => finding.expected),
    rig: name,
    kernel: kernel.gen.version,
    ...(panicked === null ? {} : { panic: panicked }),
    splats: counts(splats),
    printed: counts(met.splats.filter(({ kind }) => isPrinted(kind))),
    advisories: counts(met.advisories),
    leakedPins: sum(containers.map(({ leaked }) => leaked)),
    pins: sum(containers.map(({ pins }) => pins)),
    mappings: sum(containers.map(({ mappings }) => mappings)),
    wedged: containers.filter(({ wedged }) => wedged).map(({ container }) => container),
    calls,
    webhooks: { delivered: met.delivered, undelivered: sum(met.undelivered.map(({ count }) => count)) },
    expected: expected.words,
    missing,
    findings,
  };
}

/** What several rigs have come to together. What is expected is missing where it came in none of them. */
export function verdictsOf(rigs: readonly VerdictView[], expected: Expected): VerdictsView {
  const missing = expected.words.filter((word) => rigs.every((rig) => rig.missing.includes(word)));
  const judged = rigs.map((rig) => {
    const findings = rig.findings.filter(({ check, kind }) => check !== 'missing' || missing.includes(kind));
    return { ...rig, findings, missing, ok: findings.every((finding) => finding.expected) };
  });
  return { ok: missing.length === 0 && judged.every(({ ok }) => ok), missing, rigs: judged };
}

/** A finding that nothing was: what `expect` names did not come. */
function missed(kind: string): FindingView {
  return { check: 'missing', kind, count: 0, expected: false, text: `${kind} is expected and did not come` };
}

function ofKind(check: FindingView['check'], { kind, count, text }: Met, expected: boolean): FindingView {
  return { check, kind, count, expected, text };
}

function left(
  kind: Extract<FindingView['check'], FindingView['kind']>,
  count: number,
  text: string,
  expected: Expected,
): FindingView {
  return { check: kind, kind, count, expected: expected.has(kind), text };
}

/** An advisory about a call that ran into a splat says why it did: who expects the one expects the other. */
function expectsAdvisory({ kind, because }: Met, expected: Expected): boolean {
  if (expected.has(kind) || (because !== null && expected.has(because))) return true;
  return kind === 'PIN_LEAKED_AT_CLOSE' && expected.has('leaked-pins');
}

/** What is left in one container. */
interface Left {
  readonly container: string;
  readonly wedged: boolean;
  readonly mappings: number;
  readonly pins: number;
  readonly leaked: number;
  readonly found: FindingView[];
}

/**
 * What is left in a container. Where it is wedged by a splat that is expected, so is all that nobody can take out of
 * it any more.
 */
function* leftIn(kernel: Kernel, container: Container, expected: Expected): Generator<void, Left> {
  const { id, view } = container;
  if (!view) return { container: id, wedged: false, mappings: 0, pins: 0, leaked: 0, found: [] };
  const { wedgedBy, mappingCount: mappings, pinCount: pins } = view;
  const leaked = yield* leaksIn(kernel, container);
  const leakedCount = sum([...leaked.values()]);
  const follows = wedgedBy !== null && (expected.has('wedged') || expected.has(wedgedBy.entry.kind));
  const found: FindingView[] = [];
  const note = (kind: 'leaked-pins' | 'pins' | 'mappings' | 'wedged', count: number, text: string) => {
    if (count === 0) return;
    const isExpected =
      follows || expected.has(kind) || (kind === 'leaked-pins' && expected.has('PIN_LEAKED_AT_CLOSE'));
    found.push({ check: kind, kind, count, expected: isExpected, text: `container ${id} ${text}` });
  };
  const whose = [...leaked].map(([device, count]) => `${count} of ${device}`).join(', ');
  note('leaked-pins', leakedCount, `has pins of devices that are closed or gone: ${whose}`);
  note('pins', leakedCount > 0 ? 0 : pins, `still has ${pins} pinned page${pins === 1 ? '' : 's'}`);
  note('mappings', mappings, `still has ${mappings} mapping${mappings === 1 ? '' : 's'}`);
  note('wedged', wedgedBy ? 1 : 0, `is wedged by a ${wedgedBy?.entry.kind}`);
  return { container: id, wedged: wedgedBy !== null, mappings, pins, leaked: leakedCount, found };
}

/** Mappings and pins that are looked at in one go. */
const PIECE = 256;

/** References to pins whose device is closed or gone, by device. */
function* leaksIn(kernel: Kernel, container: Container): Generator<void, Map<string, number>> {
  const leaked = new Map<string, number>();
  const { view } = container;
  if (!view || view.pinCount === 0 || !mayLeak(kernel, container)) return leaked;
  let looked = 0;
  for (const { pins } of view.mappings()) {
    if (++looked % PIECE === 0) yield;
    for (const { devices: holders } of pins()) {
      if (++looked % PIECE === 0) yield;
      for (const { device, count } of holders) {
        if ((kernel.devices.get(device)?.openCount ?? 0) > 0) continue;
        leaked.set(device, (leaked.get(device) ?? 0) + count);
      }
    }
  }
  return leaked;
}

/** Whether some holder of references is not an open device: else no pin need be looked at. */
function mayLeak({ devices }: Kernel, container: Container): boolean {
  const open = new Set<number>();
  for (const { number, openCount } of devices.values()) if (openCount > 0) open.add(number);
  for (const holder of container.holders()) if (!open.has(holder)) return true;
  return false;
}

function counts(met: readonly Met[]): Record<string, number> {
  const byKind: Record<string, number> = {};
  for (const { kind, count } of met) byKind[kind] = (byKind[kind] ?? 0) + count;
  return byKind;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}
