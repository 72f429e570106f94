import { AbstractStartedContainer, GenericContainer, Wait } from 'testcontainers';
import { VfioHostClient } from 'vfio-host-client';

const PORT = 8080;
const STARTUP_MS = 60_000;

/** A vfio-host in a container, ready when it is started: `await new VfioHostContainer('vfio-host').start()`. */
export class VfioHostContainer extends GenericContainer {
  constructor(image = 'vfio-host') {
    super(image);
    this.withExposedPorts(PORT)
      // Docker Desktop knows the name by itself, docker on Linux needs to be told: drivers of type webhook.
      .withExtraHosts([{ host: 'host.docker.internal', ipAddress: 'host-gateway' }])
      .withWaitStrategy(Wait.forHttp('/health', PORT).forStatusCode(200))
      .withStartupTimeout(STARTUP_MS);
  }

  /** The kernel of rigs that ask for no other. */
  withKernel(version) {
    return this.withEnvironment({ KERNEL: version });
  }

  async start() {
    return new StartedVfioHostContainer(await super.start());
  }
}

/** A vfio-host that runs in a container. */
export class StartedVfioHostContainer extends AbstractStartedContainer {
  #clients = [];

  get url() {
    return `http://${this.getHost()}:${this.getMappedPort(PORT)}`;
  }

  /** By which name the container reaches this machine: a webhook driver on it is at `http://NAME:PORT/`. */
  get driverHost() {
    return 'host.docker.internal';
  }

  /** A client of a rig; without a name of the default one. It is closed with the container. */
  rig(name, options = {}) {
    const client = new VfioHostClient({ ...options, url: this.url, rig: name });
    this.#clients.push(client);
    return client;
  }

  async stop(options) {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
    return super.stop(options);
  }
}
