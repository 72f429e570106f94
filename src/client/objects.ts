import type { CallAnswer } from '../../schemas/calls.ts';
import type { ContainerView, DeviceView, MappingView, PinView, ProcessView } from '../../schemas/views.ts';
import { objectOf } from './calls.ts';
import { listOf } from './lists.ts';
import type { RequestOptions } from './transport.ts';

/** A process as it is shown. */
export type ProcessInfo = ProcessView;
/** A container as it is shown. */
export type ContainerInfo = ContainerView;
/** A device as it is shown. */
export type DeviceInfo = DeviceView;
/** A DMA mapping of a container; addresses and size in bytes, as `0x…`. */
export type Mapping = MappingView;
/** A pinned page of a container, and who holds how many references to it. */
export type Pin = PinView;
/** What `attach` and `detach` answer. */
export type Attached = CallAnswer<'attach'>;

/** A user-space process whose memory is mapped. */
export class ProcessHandle extends objectOf('process') {
  /** Its state. Rejects with a 404 when there is none. */
  async get(options?: RequestOptions): Promise<ProcessInfo> {
    return (await this.transport.ask(
      'GET',
      `/v1/processes/${encodeURIComponent(this.id)}`,
      options,
    )) as ProcessInfo;
  }
}

/** A container: an open file of /dev/vfio/vfio. */
export class ContainerHandle extends objectOf('container') {
  private get path(): string {
    return `/v1/containers/${encodeURIComponent(this.id)}`;
  }

  /** Its state. Rejects with a 404 when there is none. */
  async get(options?: RequestOptions): Promise<ContainerInfo> {
    return (await this.transport.ask('GET', this.path, options)) as ContainerInfo;
  }

  /** open-group, set-container, set-iommu type1v2 unless set, open-device; all of them, or none. */
  async attach(device: string, options: RequestOptions = {}): Promise<Attached> {
    const parts = { ...options, body: { device } };
    return (await this.transport.ask('POST', `${this.path}/attach`, parts)) as Attached;
  }

  /** close-device, unset-container, close-group; stops at the first that is refused. */
  async detach(device: string, options: RequestOptions = {}): Promise<Attached> {
    const parts = { ...options, body: { device } };
    return (await this.transport.ask('POST', `${this.path}/detach`, parts)) as Attached;
  }

  /** Its mappings by IOVA, page by page; each page is as of its own moment. */
  mappings(options?: RequestOptions): AsyncGenerator<Mapping, void> {
    return listOf(this.transport, `${this.path}/mappings`, 'mappings', options);
  }

  /** Its pins by IOVA, page by page; each page is as of its own moment. */
  pins(options?: RequestOptions): AsyncGenerator<Pin, void> {
    return listOf(this.transport, `${this.path}/pins`, 'pins', options);
  }
}

/** A device, with its group. */
export class DeviceHandle extends objectOf('device') {
  /** Its state, with its driver's. Rejects with a 404 when there is none. */
  async get(options?: RequestOptions): Promise<DeviceInfo> {
    return (await this.transport.ask(
      'GET',
      `/v1/devices/${encodeURIComponent(this.id)}`,
      options,
    )) as DeviceInfo;
  }
}

/** A rule that makes calls fail, wait or lose their callbacks, as `addFault` of the client made it. */
export class FaultHandle extends objectOf('fault') {}
