import type { CallObject } from '../../schemas/calls.ts';
import type { Driver } from '../../schemas/drivers/index.ts';
import type { WebhookReport } from '../../schemas/events.ts';
import type { HostListener } from '../host/listener.ts';
import { Webhooks } from '../host/webhooks.ts';
import { answerTo, type CallTask } from '../machine/call-task.ts';
import { Machine } from '../machine/machine.ts';
import { Refused } from '../machine/refused.ts';
import { WebhookAllow } from '../webhook/allow.ts';
import { WebhookCaller } from '../webhook/caller.ts';
import { Canonical } from './canonical.ts';
import type { Hit } from './expander.ts';
import { adviceFound, type Finding, findingsOf, reaches } from './goals.ts';
import type { Bounds, Outcome } from './layers.ts';
import type { Scene } from './scene.ts';
import { Order } from './state-hash.ts';

/** How long the driver may take to answer that a pin was made, milliseconds. */
const TOLD_MS = 5000;

/** What a path came to. */
interface Run {
  /** Of the last call. */
  readonly findings: readonly Finding[];
  /** The state of the kernel afterwards; null where a call waits for ever, or cannot be made. */
  readonly state: string | null;
}

/**
 * The search with drivers of webhooks, which are called. They cannot be rewound: each path is walked anew from its
 * beginning, one call after the other, and every device is closed at its end, so that the driver begins anew with the
 * next open. A driver's own state is not seen: states are told apart by what the kernel's side is in.
 *
 * Pins are made in the driver's name; it is told of them by a POST like that of a callback, `{"call": "pin-pages",
 * "device", "iova", "npage"}` (and `unpin-pages`), and may keep count.
 */
export class OutsideSearch {
  private readonly caller: WebhookCaller;
  private readonly hits = new Map<Finding, Hit>();
  private readonly seen = new Set<string>();
  private readonly urls: ReadonlyMap<string, string>;
  /** Callbacks that failed: the driver did not answer. */
  readonly failed: string[] = [];
  private transitions = 0;
  private depth = 0;
  private frontier = 1;
  private readonly began: number;

  constructor(
    private readonly scene: Scene,
    private readonly bounds: Bounds,
    private readonly goal: string | null,
    private readonly now: () => number,
  ) {
    this.began = now();
    this.urls = new Map(scene.setup.flatMap(({ call, device, driver }) => urlOf(call, device, driver)));
    const origins = [...this.urls.values()].map((url) => new URL(url).origin);
    this.caller = new WebhookCaller(new WebhookAllow(origins.join()));
  }

  /** Searches to its end; `tick` is called before each path, and says whether to stop. */
  async run(tick: () => boolean): Promise<Outcome> {
    const { scene, bounds } = this;
    let paths: number[][] = [[]];
    this.seen.add((await this.walk([])).state ?? '');
    try {
      for (; this.depth < bounds.depth; this.depth++) {
        const next: number[][] = [];
        this.frontier = paths.length;
        for (const path of paths) {
          for (let action = 0; action < scene.actions.length; action++) {
            if (tick()) return this.outcome('stopped');
            if (this.now() - this.began > bounds.time * 1000) return this.outcome('time');
            // What waits for the outside is answered by the driver itself.
            if (scene.actions[action]!.when) continue;
            const longer = [...path, action];
            const { findings, state } = await this.walk(longer);
            this.transitions++;
            if (this.note(longer, findings)) return this.outcome('goal');
            if (state === null || this.seen.has(state)) continue;
            this.seen.add(state);
            next.push(longer);
          }
        }
        if (next.length === 0) return this.outcome('exhausted');
        paths = next;
      }
      return this.outcome('depth');
    } finally {
      await this.caller.close();
    }
  }

  get progress() {
    const { hits, seen, transitions, depth, frontier } = this;
    const seconds = (this.now() - this.began) / 1000;
    return { hits: [...hits.values()], states: seen.size, transitions, depth, frontier, seconds };
  }

  private outcome(ended: Outcome['ended']): Outcome {
    return { ...this.progress, ended };
  }

  private note(path: readonly number[], findings: readonly Finding[]): boolean {
    let reached = false;
    for (const finding of findings) {
      if (this.goal !== null && !reaches(finding, this.goal)) continue;
      reached = this.goal !== null;
      if (!this.hits.has(finding)) this.hits.set(finding, { finding, path: [...path] });
    }
    return reached;
  }

  /** Walks a path on a fresh machine, and closes what is open at its end. */
  private async walk(path: readonly number[]): Promise<Run> {
    const findings: Finding[] = [];
    const listener: HostListener = {
      // A delivery names the entry of the journal it is of; here there is none.
      called: (task) => {
        task.record = { seq: 0 };
      },
      splat: (task, event) => findings.push(...findingsOf(task, event)),
      advisory: (_task, advisory) => findings.push(...adviceFound(advisory)),
    };
    const failures: HostListener = {
      webhook: (_task: CallTask, report: WebhookReport) => {
        if (report.outcome === 'failed') this.failed.push(`${report.url}: ${report.reason}`);
      },
    };
    const webhooks = new Webhooks(this.caller, [failures], undefined);
    const machine = new Machine(this.scene.gen, undefined, {
      listeners: [listener, webhooks],
      refusesWebhook: (url) => this.caller.refuses(url),
    });
    const calls = [...this.scene.setup, ...path.map((action) => this.scene.actions[action]!.call)];
    try {
      for (const call of calls) {
        findings.length = 0;
        await this.make(machine, call);
      }
      return { findings: [...findings], state: findings.some(isFinal) ? null : this.stateOf(machine) };
    } catch (error) {
      if (error instanceof Refused) return { findings: [], state: null };
      throw error;
    } finally {
      await this.closeAll(machine);
      machine.abandon('the path was walked');
    }
  }

  private async make(machine: Machine, call: CallObject): Promise<void> {
    const started = machine.start(call);
    const { end } = started.answer ?? (await answerTo(started));
    const url = this.urls.get(String(call.device));
    const isPin = call.call === 'pin-pages' || call.call === 'unpin-pages';
    if (!isPin || url === undefined || end.how !== 'returned' || typeof end.value === 'string') return;
    const { device, iova, npage } = call;
    const payload = { call: call.call, device, iova, npage };
    await this.caller.call({ url, timeoutMs: TOLD_MS, payload }, new AbortController().signal);
  }

  private stateOf({ kernel }: Machine): string {
    const canonical = new Canonical(
      kernel,
      new Set([kernel.gen, kernel.limits]),
      [],
      this.scene.isAboutFiles,
    );
    canonical.of(new Order(kernel, this.scene.devices), () => {});
    return `${canonical.high}:${canonical.low}`;
  }

  /** Closes every device file: close_device is the driver's sign to forget everything. */
  private async closeAll(machine: Machine): Promise<void> {
    for (const device of [...machine.kernel.devices.values()]) {
      while (device.openCount > 0) {
        const started = machine.start({ call: 'close-device', device: device.id });
        const { end } = started.answer ?? (await answerTo(started));
        // A dead task holds what it would need.
        if (end.how !== 'returned' || typeof end.value === 'string') break;
      }
    }
  }
}

function urlOf(call: string, device: unknown, driver: unknown): [string, string][] {
  if (call !== 'create-device') return [];
  const given = driver as Driver;
  return given.type === 'webhook' ? [[String(device), given.url]] : [];
}

/** Whether nothing comes after it that is worth a look. */
function isFinal(finding: Finding): boolean {
  return finding.startsWith('BUG_ON') || finding.startsWith('DEADLOCK');
}
