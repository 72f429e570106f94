import type { ScenarioSchema } from '../../schemas/scenario.ts';
import type { SetupBody, SetupView } from '../../schemas/setup.ts';
import type { VerdictView } from '../../schemas/verdict.ts';
import type { ComparisonView, ReplayView, RigView } from '../../schemas/views.ts';
import { objectOf } from './calls.ts';
import { VfioHostError } from './error.ts';
import { EventReader } from './events.ts';
import { listOf } from './lists.ts';
import {
  ContainerHandle,
  type ContainerInfo,
  DeviceHandle,
  type DeviceInfo,
  FaultHandle,
  ProcessHandle,
  type ProcessInfo,
} from './objects.ts';
import { type ClientOptions, type RequestOptions, type RequestParts, Transport } from './transport.ts';

/** A trace in the form of the recordings. */
export type Scenario = ScenarioSchema;

/** A rig as `rigs()` shows it. */
export type RigInfo = RigView;
/** What a replay found. */
export type Replayed = ReplayView;
/** What a setup made: the ids. */
export type Made = SetupView;
/** How a rig is at the end of a test. */
export type Verdict = VerdictView;
/** What a comparison found: the steps that are not answered alike, with the reasons. */
export type Compared = ComparisonView;

/**
 * A client of one rig of a vfio-host. Calls on the host (`openContainer`, `createDevice`, …) are methods of its own,
 * those on an object are methods of `container(id)`, `device(id)` and `process(id)`, which ask nothing themselves.
 *
 * Whatever is refused rejects with VfioHostError; a request that takes longer than `timeoutMs` milliseconds with a
 * `TimeoutError`; one that is given up with its signal's reason; a host that cannot be reached with undici's error.
 */
export class VfioHostClient extends objectOf('host') {
  /** The rig's journal. */
  readonly events: EventReader;

  constructor(options: ClientOptions) {
    const transport = new Transport(options);
    super(transport, '');
    this.events = new EventReader(transport);
  }

  /** The process of an id; `p0` is there from the start. */
  process(id: string): ProcessHandle {
    return new ProcessHandle(this.transport, id);
  }
  /** The container of an id. */
  container(id: string): ContainerHandle {
    return new ContainerHandle(this.transport, id);
  }
  /** The device of an id. */
  device(id: string): DeviceHandle {
    return new DeviceHandle(this.transport, id);
  }
  /** The fault rule of an id. */
  fault(id: string): FaultHandle {
    return new FaultHandle(this.transport, id);
  }

  /** A client of another rig over the same connections, which this one closes. */
  forRig(rig: string): VfioHostClient {
    return new VfioHostClient(this.transport.forRig(rig));
  }

  /** Every process. */
  processes(options?: RequestOptions): AsyncGenerator<ProcessInfo, void> {
    return listOf(this.transport, '/v1/processes', 'processes', options);
  }
  /** Every container. */
  containers(options?: RequestOptions): AsyncGenerator<ContainerInfo, void> {
    return listOf(this.transport, '/v1/containers', 'containers', options);
  }
  /** Every device. */
  devices(options?: RequestOptions): AsyncGenerator<DeviceInfo, void> {
    return listOf(this.transport, '/v1/devices', 'devices', options);
  }

  /** Everything of the rig back to the start, ids from 0; with `kernel` on that version of it. */
  async reset(how: { kernel?: string } = {}, options?: RequestOptions): Promise<void> {
    await this.request('POST', '/v1/reset', { ...options, body: how });
  }

  /** Makes the rig anew as one document says (or a trace), all of it or nothing. */
  async setup(document: SetupBody, options?: RequestOptions): Promise<Made> {
    const answer = await this.request('POST', '/v1/setup', { ...options, body: document });
    return answer as unknown as Made;
  }

  /** Whether the rig is as it should be at the end of a test; `expect` names what the test means to provoke. */
  async verdict(expect?: string, options?: RequestOptions): Promise<Verdict> {
    const query = expect === undefined ? {} : { expect };
    try {
      const answer = await this.request('GET', '/v1/verdict', { ...options, query });
      return answer as unknown as Verdict;
    } catch (error) {
      // One that is not ok is a problem with the verdict in it.
      if (error instanceof VfioHostError && error.problem.findings)
        return error.problem as unknown as Verdict;
      throw error;
    }
  }

  /** The rigs of the host, oldest first. */
  async rigs(options?: RequestOptions): Promise<RigInfo[]> {
    const { rigs } = await this.request('GET', '/v1/rigs', options);
    return rigs as RigInfo[];
  }

  /** Drops a rig; calls under way in it are answered with a problem. Rejects with a 404 when there is none. */
  async dropRig(rig: string, options?: RequestOptions): Promise<void> {
    await this.request('DELETE', `/v1/rigs/${encodeURIComponent(rig)}`, options);
  }

  /** Runs a trace on a fresh host, which is nobody's rig, and says what differed from its expectations. */
  async replay(scenario: Scenario, options?: RequestOptions): Promise<Replayed> {
    const answer = await this.request('POST', '/v1/replay', { ...options, body: scenario });
    return answer as unknown as Replayed;
  }

  /** Runs a trace on several kernels, on all of them unless given, and says which steps differ and why. */
  async compare(
    scenario: Scenario,
    kernels?: readonly string[],
    options?: RequestOptions,
  ): Promise<Compared> {
    const answer = await this.request('POST', '/v1/compare', { ...options, body: { scenario, kernels } });
    return answer as unknown as Compared;
  }

  /** Any request that answers JSON, such as one this client has no method for; the body of its answer. */
  request(method: string, path: string, parts?: RequestParts): Promise<Record<string, unknown>> {
    return this.transport.ask(method, path, parts);
  }

  /** Ends the client's own connections, and what is under way on them. */
  close(): Promise<void> {
    return this.transport.close();
  }
}
