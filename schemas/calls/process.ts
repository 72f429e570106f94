import { Type } from '@sinclair/typebox';
import { Address64, Base64, Byte, FlagWord, Id, Length, PROT_FLAGS } from '../values.ts';
import { call } from './entry.ts';

/** Calls on the memory of a process: what its own code would do. */
export const processCalls = {
  'create-process': call({
    about:
      'Makes a user-space process. Its memory is all valid, zero-filled and written until a first region is added.',
    on: 'host',
    args: {
      process: Type.Optional(Id),
      pid: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: 2 ** 22,
          description: 'a process of this machine whose memory it has: an integer from 1 to 4194304',
        }),
      ),
    },
    answer: { process: Type.String() },
    rest: { method: 'POST', url: '/v1/processes', status: 201 },
  }),
  'add-memory-region': call({
    about: 'Makes [start, start+size) memory of the process. From the first region on nothing else is valid.',
    on: 'process',
    args: { start: Address64, size: Address64, prot: FlagWord(PROT_FLAGS) },
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
