import { type Static, Type } from '@sinclair/typebox';
import { PINNED_VM_MAX } from '../kinds.ts';
import { Exact, Hex64, integer, Number31, nullable, object, PageAddress, PageSize } from '../saved.ts';
import { Base64, Byte, GroupId, Id, oneOf } from '../values.ts';

const Contents = Type.Array(
  object({
    page: PageAddress,
    content: Type.Union([Byte, Base64], { description: 'a byte from 0 to 255, or 4096 bytes in base64' }),
  }),
);

/** Contents that regions of several processes may have: the byte of pages that are not listed, and the others. */
export const SavedStore = object({ background: Byte, contents: Contents });
export type SavedStore = Static<typeof SavedStore>;

const SavedRegion = object({
  start: PageAddress,
  size: PageSize,
  prot: integer(0, 3, '0 to 3'),
  /** Absent: anonymous. */
  kind: Type.Optional(oneOf('shared', 'hugetlb', 'file', 'device')),
  /** Where not as its prot says. */
  neverWritten: Type.Optional(Type.Boolean()),
  /** Number of its contents, where they are not anonymous memory's or a device's; where in them it begins. */
  store: Type.Optional(Number31),
  from: Type.Optional(PageAddress),
  /** A child of a fork has the same memory. */
  shared: Type.Optional(Type.Literal(true)),
  /** Of a file that was opened for reading. */
  readOnlyFile: Type.Optional(Type.Literal(true)),
  /** Whose BAR 0 it is, and the number of the file it holds. */
  device: Type.Optional(Id),
  file: Type.Optional(Number31),
});
export type SavedRegion = Static<typeof SavedRegion>;

/** Whose a mapping is: numbers of a process and of its memory. */
export const SavedOwner = object({ process: Number31, mm: Number31 });
export type SavedOwner = Static<typeof SavedOwner>;

/** An open file of VFIO’s. */
export const SavedFile = object({
  of: oneOf('container', 'group', 'device'),
  id: GroupId,
  /** Number of the process that opened it; null where it has exited. */
  opener: nullable(Number31, 'a process number, or null'),
  /** Of a group that has got devices again since it lost them: it answers nobody any more. */
  dead: Type.Optional(Type.Literal(true)),
});
export type SavedFile = Static<typeof SavedFile>;

/** A process with its memory and descriptors. */
export const SavedProcess = object({
  process: Id,
  /** RLIMIT_MEMLOCK; null: none, and CAP_IPC_LOCK. */
  memlock: nullable(Hex64, 'a number of bytes 0x…, or null for no limit'),
  lockedVm: Exact,
  /** Absent: 0, as on every kernel whose containers type1 provides. */
  pinnedVm: Type.Optional(integer(-PINNED_VM_MAX, PINNED_VM_MAX, '-2^52 to 2^52')),
  /** Absent: where it is in the list, and the same; whether it has no limit; true. */
  number: Type.Optional(Number31),
  mm: Type.Optional(Number31),
  capIpcLock: Type.Optional(Type.Boolean()),
  capSysRawio: Type.Optional(Type.Boolean()),
  /** It has no memory at all; otherwise, without regions, every address is valid. */
  empty: Type.Optional(Type.Literal(true)),
  regions: Type.Array(SavedRegion),
  /** Descriptors, lowest first, with the number of their file. */
  files: Type.Optional(Type.Array(Type.Tuple([Number31, Number31], { description: '[descriptor, file]' }))),
  /** Pages that are not zero, lowest first: the byte they are full of, or their 4096 bytes. */
  contents: Contents,
});
export type SavedProcess = Static<typeof SavedProcess>;
