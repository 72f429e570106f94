import { Type } from '@sinclair/typebox';
import { oneOf } from '../schemas/values.ts';
import { KERNEL_VERSIONS, VERSIONS_IN_WORDS } from './kernel/generations/index.ts';
import { WEBHOOK_ALLOW_RULE, WebhookAllow } from './webhook/allow.ts';

/** One setting: its flag; the environment variable is the flag in capitals, `-` as `_`. */
export interface Setting {
  readonly flag: string;
  readonly rule: string;
  readonly help: string;
  /** Of a limit: what it counts, and what is answered at it. */
  readonly limit?: readonly [unit: string, answer: string];
  parse(text: string): unknown;
}

const integer = (min: number, max: number) => ({
  rule: `an integer from ${min} to ${max}`,
  parse: (text: string) => (/^(0|[1-9][0-9]*)$/.test(text) ? Number(text) : Number.NaN),
  schema: Type.Integer({ minimum: min, maximum: max }),
});

/** A limit of a number from 1 on. */
const bounded = (name: string, help: string, unit: string, answer: string, max = 2 ** 40) => ({
  flag: name,
  help,
  limit: [unit, answer] as const,
  ...integer(1, max),
});

/** What is answered where journal and trace would take too many bytes. */
const CUT = 'the oldest entries of the journal go (`truncated`), the trace ends (`x-truncated`)';

/** Words for yes and no. A flag alone means yes. */
export const SWITCH: Readonly<Record<string, boolean>> = { true: true, 1: true, false: false, 0: false };

/** A switch. */
export const flag = {
  rule: '"true" or "false"',
  parse: (text: string) => SWITCH[text],
  schema: Type.Boolean(),
};

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** A list that WebhookAllow understands, or nothing. */
function parseAllow(text: string): string | undefined {
  try {
    new WebhookAllow(text);
    return text;
  } catch {
    return undefined;
  }
}

/** Longest path of a Unix socket (sun_path without its NUL), bytes. */
const SOCKET_PATH_MAX = 107;

/** Every setting, by its name in a configuration. */
export const SETTINGS = {
  host: {
    flag: 'host',
    rule: 'a host name or address',
    help: 'address to listen on',
    parse: (text: string) => text,
    schema: Type.String({ minLength: 1, maxLength: 255 }),
  },
  port: { flag: 'port', help: 'port to listen on; 0 takes a free one', ...integer(0, 65535) },
  socket: {
    flag: 'socket',
    rule: 'a path of at most 107 bytes',
    help: 'Unix socket to listen on, in place of host and port',
    parse: (text: string) => (Buffer.byteLength(text) <= SOCKET_PATH_MAX ? text : undefined),
    schema: Type.String(),
  },
  allowedHosts: {
    flag: 'allowed-hosts',
    rule: '"any", or host names separated by commas',
    help: 'names under which requests may reach the service, besides loopback names and its address',
    parse: (text: string) => text.toLowerCase(),
    schema: Type.String({ maxLength: 4096, pattern: '^[^\\s]*$' }),
  },
  authToken: {
    flag: 'auth-token',
    rule: 'a token of 16 to 256 characters without spaces',
    help: 'token that every request but those for health must bring',
    parse: (text: string) => text,
    schema: Type.String({ pattern: '^(\\S{16,256})?$' }),
  },
  allowPanic: {
    flag: 'allow-panic',
    help: 'panicOnWarn and panicOnOops that a client sets end the process too, not only its rig',
    ...flag,
  },
  logLevel: {
    flag: 'log-level',
    rule: `one of ${LOG_LEVELS.join(', ')}`,
    help: 'least level that is logged',
    parse: (text: string) => text,
    schema: oneOf(...LOG_LEVELS),
  },
  kernel: {
    flag: 'kernel',
    rule: `one of ${VERSIONS_IN_WORDS}`,
    help: 'kernel generation to answer as',
    parse: (text: string) => text,
    schema: oneOf(...KERNEL_VERSIONS),
  },
  seedFile: {
    flag: 'seed-file',
    rule: 'the path of a snapshot, a setup, a trace or a batch; the kernel it names becomes the one to answer as',
    help: 'state in which rigs start, also after a reset',
    parse: (text: string) => text,
    schema: Type.String({ maxLength: 4096 }),
  },
  portFile: {
    flag: 'port-file',
    rule: 'the path of a file in a folder that is there',
    help: 'file that says the port while the service listens',
    parse: (text: string) => text,
    schema: Type.String({ maxLength: 4096 }),
  },
  panicOnWarn: { flag: 'panic-on-warn', help: 'a WARN_ON ends the process with exit code 70', ...flag },
  panicOnOops: { flag: 'panic-on-oops', help: 'a BUG_ON ends the process with exit code 70', ...flag },
  processMemory: {
    flag: 'process-memory',
    rule: '"emulated" or "real"',
    help: 'whether create-process may take a pid: "real" gives clients the memory of processes of the same user',
    parse: (text: string) => text,
    schema: oneOf('emulated', 'real'),
  },
  webhookAllow: {
    flag: 'webhook-allow',
    rule: WEBHOOK_ALLOW_RULE,
    help: 'where webhooks may go',
    parse: parseAllow,
    schema: Type.String(),
  },
  requestSeconds: {
    flag: 'request-seconds',
    help: 'seconds in which a request must have arrived whole',
    limit: ['seconds', '408, and the connection is closed'],
    ...integer(1, 3600),
  },
  writeSeconds: {
    flag: 'write-seconds',
    help: 'seconds in which a client must take some of what it is sent',
    limit: ['seconds', 'the connection is closed'],
    ...integer(1, 86_400),
  },
  keepAliveSeconds: {
    flag: 'keep-alive-seconds',
    help: 'seconds after which an idle connection is closed',
    limit: ['seconds', 'the connection is closed'],
    ...integer(1, 3600),
  },
  maxConnections: {
    flag: 'max-connections',
    help: 'connections at once',
    limit: ['connections', 'the connection is closed'],
    ...integer(1, 65536),
  },
  maxReaders: {
    flag: 'max-readers',
    help: 'streams and waits for events of one rig at once',
    limit: ['readers of a rig', '429 too-many'],
    ...integer(1, 65536),
  },
  maxWorks: {
    flag: 'max-works',
    help: 'long requests under way at once: replays, comparisons, setups, snapshots, long lists; eight times as many batches',
    limit: ['requests', '429 too-many'],
    ...integer(1, 65536),
  },
  workSeconds: {
    flag: 'work-seconds',
    help: 'seconds that a long request may be at work, in all its turns together',
    limit: ['seconds', '413 too-large; a stream ends'],
    ...integer(1, 86_400),
  },
  maxBatchLines: {
    flag: 'max-batch-lines',
    help: 'calls of one batch',
    limit: ['lines', '413 too-large in place of the first line beyond it; the rest is not made'],
    ...integer(1, 2 ** 31 - 1),
  },
  maxRigs: { flag: 'max-rigs', help: 'rigs at once', limit: ['rigs', '429 too-many'], ...integer(1, 65536) },
  rigIdleSeconds: {
    flag: 'rig-idle-seconds',
    help: 'seconds without a request after which a rig is dropped; 0: never',
    limit: ['seconds', 'the rig is dropped'],
    ...integer(0, 31_536_000),
  },
  maxProcesses: {
    flag: 'max-processes',
    help: 'emulated processes',
    limit: ['processes of a rig', '429 too-many'],
    ...integer(1, 65536),
  },
  maxContainers: {
    flag: 'max-containers',
    help: 'containers',
    limit: ['containers of a rig', '429 too-many'],
    ...integer(1, 65536),
  },
  maxDevices: {
    flag: 'max-devices',
    help: 'devices',
    limit: ['devices of a rig', '429 too-many'],
    ...integer(1, 65536),
  },
  maxJournal: {
    flag: 'max-journal',
    help: 'journal entries kept',
    limit: ['entries of a rig', 'the oldest are dropped: `truncated` says so'],
    ...integer(1, 1_000_000),
  },
  maxTrace: {
    flag: 'max-trace',
    help: 'steps of a trace kept',
    limit: ['steps of a rig', 'the trace ends there: the header `x-truncated` says so'],
    ...integer(1, 1_000_000),
  },
  maxPendingCalls: {
    flag: 'max-pending-calls',
    help: 'calls under way at once',
    limit: ['calls of a rig', '429 too-many'],
    ...integer(1, 65536),
  },
  maxRegions: bounded('max-regions', 'memory regions', 'regions of a process', '429 too-many', 65536),
  maxResidentPages: bounded(
    'max-resident-pages',
    'pages of 4096 bytes that have contents of their own',
    'pages of a process',
    'ENOMEM (409)',
    2 ** 24,
  ),
  rigMemory: bounded(
    'rig-memory',
    'bytes of the pages of all processes that have contents of their own',
    'bytes of a rig',
    'ENOMEM (409); 413 too-large in a snapshot',
  ),
  totalMemory: bounded(
    'total-memory',
    'the same of all rigs and replays',
    'bytes',
    'ENOMEM (409); 413 too-large in a snapshot',
  ),
  maxPins: bounded(
    'max-pins',
    'references to pages that drivers hold',
    'pins of a rig',
    'ENOMEM (409); 429 too-many in a snapshot',
    2 ** 27,
  ),
  maxFiles: bounded(
    'max-files',
    'open files: containers, groups and devices',
    'descriptors of a process',
    'EMFILE (409); 413 too-large in a snapshot',
    2 ** 20,
  ),
  rigObjects: bounded(
    'rig-objects',
    'bytes that mappings, pins, memory regions and open files take: 128, 64, 256 and 128 each',
    'bytes of a rig',
    'ENOMEM (409); 413 too-large in a snapshot',
  ),
  totalObjects: bounded(
    'total-objects',
    'the same of all rigs and replays',
    'bytes',
    'ENOMEM (409); 413 too-large in a snapshot',
  ),
  maxFaults: bounded('max-faults', 'rules of fault injection', 'rules of a rig', '429 too-many', 65536),
  maxDirtyBitmaps: bounded(
    'max-dirty-bitmaps',
    'bytes that dirty bitmaps would take in a kernel',
    'bytes of a rig',
    'ENOMEM (409); 413 too-large in a snapshot',
  ),
  totalDirtyBitmaps: bounded(
    'total-dirty-bitmaps',
    'the same of all rigs and replays',
    'bytes',
    'ENOMEM (409); 413 too-large in a snapshot',
  ),
  searchBytes: bounded(
    'search-bytes',
    'bytes of the states that a search finds',
    'bytes of a search',
    'the search ends with `"ended": "memory"`',
    2 ** 30,
  ),
  logBytes: bounded(
    'log-bytes',
    'bytes of log lines that their reader has not taken yet',
    'bytes',
    'the oldest are dropped: a line says how many, and `vfio_host_log_lines_dropped_total` counts them',
  ),
  rigBytes: bounded('rig-bytes', 'bytes of journal and trace', 'bytes of a rig', CUT),
  totalBytes: bounded('total-bytes', 'bytes of all journals and traces', 'bytes', CUT),
  answerBytes: bounded(
    'answer-bytes',
    'bytes of all answers under way, from 16 KiB on',
    'bytes',
    '429 too-many to the next request',
  ),
  bodyBytes: bounded(
    'body-bytes',
    'bytes of all request bodies under way, the lines of batches among them',
    'bytes',
    '429 too-many, in a batch in place of the line',
  ),
  bodyLimit: {
    flag: 'body-limit',
    help: 'bytes of a request body',
    limit: ['bytes', '413 too-large'],
    ...integer(1024, 268_435_456),
  },
  maxValues: bounded('max-values', 'values in the JSON of one body', 'values', '413 too-large'),
  compareSteps: {
    flag: 'compare-steps',
    help: 'steps of a trace that is compared over HTTP',
    limit: ['steps', '413 too-large'],
    ...integer(1, 100_000),
  },
  replayBodyLimit: {
    flag: 'replay-body-limit',
    help: 'bytes of the body of a replay',
    limit: [
      'bytes',
      '413 too-large, also for a snapshot, or the answers of a comparison, that would be larger',
    ],
    ...integer(1024, 268_435_456),
  },
} as const satisfies Record<string, Setting & { schema: unknown }>;

export type SettingName = keyof typeof SETTINGS;
