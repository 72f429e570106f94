import { Type } from '@sinclair/typebox';
import { RegionKind } from '../kinds.ts';
import { Address64, Base64, Byte, FlagWord, Id, Length, oneOf, PROT_FLAGS } from '../values.ts';
import { call } from './entry.ts';

/** A process of this machine. */
const RealPid = Type.Integer({
  minimum: 1,
  maximum: 2 ** 22,
  description: 'a process of this machine whose memory it has: an integer from 1 to 4194304',
});

const Capabilities = Type.Array(oneOf('CAP_SYS_RAWIO', 'CAP_IPC_LOCK'), {
  maxItems: 8,
  description: 'an array of "CAP_SYS_RAWIO", "CAP_IPC_LOCK"',
});

/** Calls on a process and its memory: what its own code would do. */
export const processCalls = {
  'create-process': call({
    about:
      'Makes a user-space process. Its memory is all valid, zero-filled and written until a first region is added.',
    on: 'host',
    args: {
      process: Type.Optional(Id),
      pid: Type.Optional(RealPid),
    },
    answer: { process: Type.String() },
    rest: { method: 'POST', url: '/v1/processes', status: 201 },
  }),
  'add-memory-region': call({
    about:
      'mmap at a fixed place: [start, start+size) is new memory of the process. From the first region on nothing else is valid.',
    on: 'process',
    args: {
      start: Address64,
      size: Address64,
      prot: FlagWord(PROT_FLAGS),
      kind: Type.Optional(RegionKind),
      openedForWrite: Type.Optional(Type.Boolean()),
      private: Type.Optional(Type.Boolean()),
      device: Type.Optional(Id),
      offset: Type.Optional(Address64),
    },
  }),
  'remove-memory-region': call({
    about:
      'munmap: [start, start+size) is no memory of the process any more. What is pinned of it stays pinned.',
    on: 'process',
    args: { start: Address64, size: Address64 },
  }),
  'protect-memory-region': call({
    about: 'mprotect: what the process may do with its memory from now on.',
    on: 'process',
    args: { start: Address64, size: Address64, prot: FlagWord(PROT_FLAGS) },
  }),
  'fork-process': call({
    about:
      'fork: the child has copies of all memory, the same limit and capabilities, and shares every open file.',
    on: 'process',
    args: { child: Type.Optional(Id), pid: Type.Optional(RealPid) },
    answer: { process: Type.String() },
  }),
  'exec-process': call({
    about:
      'exec by uid 0: the process has new memory without any region, and all capabilities; its limit and its files stay.',
    on: 'process',
    args: { pid: Type.Optional(RealPid) },
  }),
  'exit-process': call({
    about:
      'The process ends, by itself or by a signal: its memory goes, then its files are closed, the last first.',
    on: 'process',
    args: {
      signal: Type.Optional(Type.Integer({ minimum: 1, maximum: 64, description: 'a signal from 1 to 64' })),
    },
  }),
  'set-capabilities': call({
    about: 'Takes capabilities from the process, or gives them back.',
    on: 'process',
    args: { drop: Type.Optional(Capabilities), raise: Type.Optional(Capabilities) },
  }),
  'set-memlock': call({
    about: 'Sets RLIMIT_MEMLOCK; a number also takes CAP_IPC_LOCK away.',
    on: 'process',
    args: {
      bytes: Type.Union([...Address64.anyOf, Type.Literal('unlimited')], {
        description: 'a number of bytes (0x… or an integer from 0 to 2^53-1), or "unlimited"',
      }),
    },
  }),
  'fill-memory': call({
    about: 'Writes one byte’s value all over a range of the process’s memory.',
    on: 'process',
    args: { vaddr: Address64, length: Length, byte: Byte },
  }),
  'write-memory': call({
    about: 'Writes bytes into the process’s memory.',
    on: 'process',
    args: { vaddr: Address64, data: Base64 },
  }),
  'read-memory': call({
    about: 'Reads bytes from the process’s memory.',
    on: 'process',
    reads: true,
    args: { vaddr: Address64, length: Length },
    answer: { data: Type.String() },
  }),
};
