import { AbstractStartedContainer, GenericContainer } from 'testcontainers';
import type { ClientOptions, VfioHostClient } from 'vfio-host-client';

/** A vfio-host in a container, ready when it is started. */
export class VfioHostContainer extends GenericContainer {
  constructor(image?: string);
  /** The kernel of rigs that ask for no other. */
  withKernel(version: string): this;
  start(): Promise<StartedVfioHostContainer>;
}

/** A vfio-host that runs in a container. */
export class StartedVfioHostContainer extends AbstractStartedContainer {
  readonly url: string;
  /** By which name the container reaches this machine: a webhook driver on it is at `http://NAME:PORT/`. */
  readonly driverHost: string;
  /** A client of a rig; without a name of the default one. It is closed with the container. */
  rig(name?: string, options?: Omit<ClientOptions, 'url' | 'rig'>): VfioHostClient;
}
