import type { CallObject } from '../../schemas/calls.ts';
import { type Refusal, refusal, region } from './refusals.ts';

const P0 = { process: 'p0' };
const HOLE: CallObject[] = [region(0x100000, 0x4000), region(0x200000, 0x4000, 1)];
/** Four pages with contents of their own: as many as the host holds. */
const FULL: CallObject[] = [
  { call: 'write-memory', ...P0, vaddr: 0x1000, data: Buffer.alloc(0x4000, 1).toString('base64') },
];
const SECOND: CallObject = { call: 'create-process', process: 'p1' };

const FAIL = { on: 'create-process', nth: 1, errno: 'ENOMEM' };
const FAULT: CallObject = { call: 'add-fault', fault: 'f', ...FAIL };

/** Refusals of calls on the host and on processes. */
export const HOST_REFUSALS: Refusal[] = [
  refusal('no-such-call', 'not a call', [], {}, 400),
  refusal('create-process', 'the id is taken', [], { process: 'p0' }, 'EEXIST'),
  refusal('create-process', 'more than the host holds', [SECOND], {}, 429),
  refusal('create-process', 'the id is malformed', [], { process: 'P 1' }, 400),

  refusal('add-memory-region', 'unknown prot', [], { ...P0, start: 0, size: 0x1000, prot: 4 }, 'EINVAL'),
  refusal('add-memory-region', 'misaligned start', [], { ...P0, start: 8, size: 0x1000, prot: 3 }, 'EINVAL'),
  refusal('add-memory-region', 'misaligned size', [], { ...P0, start: 0, size: 0x1008, prot: 3 }, 'EINVAL'),
  refusal('add-memory-region', 'size 0', [], { ...P0, start: 0, size: 0, prot: 3 }, 'EINVAL'),
  refusal(
    'add-memory-region',
    'beyond 2^64',
    [],
    { ...P0, start: '0xfffffffffffff000', size: 0x2000, prot: 3 },
    'EINVAL',
  ),
  refusal(
    'add-memory-region',
    'a shared file that was opened for reading, to be written',
    [],
    { ...P0, start: 0, size: 0x1000, prot: 3, kind: 'file' },
    'EACCES',
  ),
  refusal(
    'add-memory-region',
    'huge pages at a place that is none',
    [],
    { ...P0, start: 0x1000, size: 0x200000, prot: 3, kind: 'hugetlb' },
    'EINVAL',
  ),
  refusal(
    'add-memory-region',
    'a device that is not open',
    [{ call: 'create-device', device: 'd0', kind: 'vfio-pci' }],
    { ...P0, start: 0, size: 0x1000, prot: 3, kind: 'device', device: 'd0' },
    'EBADF',
  ),
  refusal(
    'add-memory-region',
    'a device without saying which',
    [],
    { ...P0, start: 0, size: 0x1000, prot: 3, kind: 'device' },
    400,
  ),
  refusal(
    'add-memory-region',
    'private, but no file',
    [],
    { ...P0, start: 0, size: 0x1000, prot: 3, private: true },
    400,
  ),
  refusal(
    'add-memory-region',
    'more than one process may have',
    HOLE,
    { ...P0, start: 0, size: 0x1000, prot: 3 },
    429,
  ),
  refusal(
    'add-memory-region',
    'no such process',
    [],
    { process: 'p9', start: 0, size: 0x1000, prot: 3 },
    404,
  ),

  refusal('remove-memory-region', 'misaligned start', [], { ...P0, start: 8, size: 0x1000 }, 'EINVAL'),
  refusal('remove-memory-region', 'size 0', [region(0, 0x1000)], { ...P0, start: 0, size: 0 }, 'EINVAL'),
  refusal(
    'remove-memory-region',
    'a part of a huge page',
    [{ ...region(0, 0x400000), kind: 'hugetlb' }],
    { ...P0, start: 0x1000, size: 0x1000 },
    'EINVAL',
  ),
  refusal(
    'remove-memory-region',
    'one region more than a process may have',
    HOLE,
    { ...P0, start: 0x101000, size: 0x1000 },
    'ENOMEM',
  ),
  refusal('remove-memory-region', 'no such process', [], { process: 'p9', start: 0, size: 0x1000 }, 404),

  refusal(
    'protect-memory-region',
    'misaligned start',
    [],
    { ...P0, start: 8, size: 0x1000, prot: 1 },
    'EINVAL',
  ),
  refusal('protect-memory-region', 'unknown prot', [], { ...P0, start: 0, size: 0x1000, prot: 4 }, 'EINVAL'),
  refusal(
    'protect-memory-region',
    'no memory there',
    HOLE,
    { ...P0, start: 0, size: 0x1000, prot: 1 },
    'ENOMEM',
  ),
  refusal(
    'protect-memory-region',
    'a file that was opened for reading',
    [{ ...region(0, 0x1000, 1), kind: 'file' }],
    { ...P0, start: 0, size: 0x1000, prot: 3 },
    'EACCES',
  ),
  refusal('protect-memory-region', 'no such process', [], { process: 'p9', start: 0, size: 0, prot: 1 }, 404),

  refusal('fork-process', 'the id is taken', [], { ...P0, child: 'p0' }, 'EEXIST'),
  refusal('fork-process', 'more than the host holds', [SECOND], P0, 429),
  refusal('fork-process', 'no such process', [], { process: 'p9' }, 404),
  refusal('exec-process', 'no such process', [], { process: 'p9' }, 404),
  refusal(
    'exec-process',
    'the memory of a real process, which this host has not',
    [],
    { ...P0, pid: 1 },
    403,
  ),
  refusal('exit-process', 'no such process', [], { process: 'p9' }, 404),
  refusal('exit-process', 'a signal there is not', [], { ...P0, signal: 65 }, 400),
  refusal('set-capabilities', 'a capability nobody looks at', [], { ...P0, drop: ['CAP_CHOWN'] }, 400),
  refusal('kernel-taint', 'an argument it has not', [], { flag: 'U' }, 400),

  refusal('set-memlock', 'no such process', [], { process: 'p9', bytes: 0 }, 404),
  refusal('set-memlock', 'bytes malformed', [], { ...P0, bytes: 'none' }, 400),

  refusal(
    'fill-memory',
    'no memory there',
    HOLE,
    { ...P0, vaddr: 0x103000, length: 0x1001, byte: 1 },
    'EFAULT',
  ),
  refusal(
    'fill-memory',
    'memory not writable',
    HOLE,
    { ...P0, vaddr: 0x200000, length: 1, byte: 1 },
    'EFAULT',
  ),
  refusal(
    'fill-memory',
    'beyond 2^64',
    [],
    { ...P0, vaddr: '0xffffffffffffffff', length: 2, byte: 1 },
    'EFAULT',
  ),
  refusal(
    'fill-memory',
    'more contents than the host holds',
    FULL,
    { ...P0, vaddr: 0x4000, length: 0x2000, byte: 2 },
    'ENOMEM',
  ),
  refusal('fill-memory', 'no such process', [], { process: 'p9', vaddr: 0, length: 1, byte: 1 }, 404),
  refusal('fill-memory', 'byte above 255', [], { ...P0, vaddr: 0, length: 1, byte: 256 }, 400),

  refusal('write-memory', 'no memory there', HOLE, { ...P0, vaddr: 0x103fff, data: 'AQI=' }, 'EFAULT'),
  refusal(
    'write-memory',
    'more contents than the host holds',
    FULL,
    { ...P0, vaddr: 0x4fff, data: 'AQI=' },
    'ENOMEM',
  ),
  refusal('write-memory', 'not base64', [], { ...P0, vaddr: 0, data: 'AQI' }, 400),
  refusal('write-memory', 'no such process', [], { process: 'p9', vaddr: 0, data: 'AQI=' }, 404),

  refusal('read-memory', 'no memory there', HOLE, { ...P0, vaddr: 0x103fff, length: 2 }, 'EFAULT'),
  refusal('read-memory', 'too long', [], { ...P0, vaddr: 0, length: 2 ** 24 + 1 }, 400),
  refusal('read-memory', 'no such process', [], { process: 'p9', vaddr: 0, length: 1 }, 404),

  refusal('create-process', 'a fault was injected', [FAULT], {}, 'ENOMEM'),
  refusal('add-fault', 'the id is taken', [FAULT], { fault: 'f', ...FAIL }, 'EEXIST'),
  refusal('add-fault', 'more than the host holds', [FAULT, { call: 'add-fault', ...FAIL }], FAIL, 429),
  refusal('add-fault', 'both once and every time', [], { ...FAIL, every: 1 }, 400),
  refusal('add-fault', 'on what is not a call', [], { ...FAIL, on: 'map' }, 400),
  refusal('add-fault', 'both once and by chance', [], { ...FAIL, probability: 0.5 }, 400),
  refusal('add-fault', 'a chance of none', [], { ...FAIL, nth: undefined, probability: 0 }, 400),
  refusal('add-fault', 'a seed of no chance', [], { ...FAIL, seed: 1 }, 400),
  refusal('add-fault', 'a jitter of no delay', [], { ...FAIL, jitterMs: 5 }, 400),
  refusal('remove-fault', 'no such fault', [], { fault: 'f' }, 404),
  refusal('clear-faults', 'an unknown field', [FAULT], { fault: 'f' }, 400),
  refusal('pause-faults', 'no such fault', [FAULT], { fault: 'g' }, 404),
  refusal('resume-faults', 'no such fault', [], { fault: 'f' }, 404),

  refusal('sleep', 'more than a minute', [], { milliseconds: 60_001 }, 400),
  refusal('sleep', 'no time', [], {}, 400),
  refusal('set-parameters', 'a negative limit', [], { dmaEntryLimit: -1 }, 400),
  refusal('set-parameters', 'one good value and one bad', [], { dmaEntryLimit: 5, panicOnWarn: 'yes' }, 400),
];
