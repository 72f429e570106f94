import { VERSION } from '../../version.ts';

const DESCRIPTION = `An emulated Linux VFIO host: containers, groups, the type1 IOMMU, iommufd and mediated devices, answering with the
errno, the callbacks and the BUG_ON and WARN_ON lines of the real kernels.

Addresses and sizes are 64-bit and exact: \`0x…\` strings, or integers below 2^53; answers are always \`0x…\`. A refusal is a
problem (RFC 9457); decide by its \`errno\`, which is there where the emulated kernel answered. Every request may name its rig,
an isolated host of its own, in the header \`X-Rig\`.`;

/** The parts of the description that belong to no route. */
export const FRAME = {
  openapi: '3.1.0' as const,
  info: {
    title: 'vfio-host',
    summary: 'An emulated Linux VFIO host',
    description: DESCRIPTION,
    version: VERSION,
    license: { name: 'MIT', identifier: 'MIT' },
  },
  servers: [
    { url: '/', description: 'the service this document comes from' },
    { url: 'http://127.0.0.1:8080', description: 'a service started on this machine with its defaults' },
  ],
  // Without AUTH_TOKEN nothing is asked for.
  security: [{}, { bearer: [] }, { basic: [] }],
  tags: [
    {
      name: 'process',
      description: 'User-space processes, whose memory is mapped. `p0` is there from the start.',
    },
    { name: 'container', description: 'Open files of /dev/vfio/vfio: the IOVA spaces.' },
    { name: 'device', description: 'Devices with their groups, and what their drivers do.' },
    { name: 'host', description: 'The host as a whole: parameters, journal, operations, snapshot.' },
    { name: 'fault', description: 'Rules by which calls fail, take time, or lose their callbacks.' },
    { name: 'kernels', description: 'The kernels that can be emulated, and what tells them apart.' },
    { name: 'rigs', description: 'Isolated hosts on one server.' },
    { name: 'trace', description: 'Calls written down, replayed, or made many at a time.' },
    { name: 'status', description: 'The service itself, for probes and monitoring.' },
  ],
  components: {
    securitySchemes: {
      bearer: {
        type: 'http' as const,
        scheme: 'bearer',
        description: 'AUTH_TOKEN, where the service has one',
      },
      basic: {
        type: 'http' as const,
        scheme: 'basic',
        description: 'the same as the password of any user, for browsers',
      },
    },
  },
};
