/** The errno values that VFIO, type1 and this host answer with, by name (asm-generic numbers). */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EIO: 5,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  ERANGE: 34,
  EDEADLK: 35,
  EOVERFLOW: 75,
  EUSERS: 87,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
} as const;

/** Name of an errno. Kernel functions here return one, or null for success (0). */
export type Errno = keyof typeof ERRNO;

/** Whether a name is an errno's. */
export function isErrno(name: string): name is Errno {
  return Object.hasOwn(ERRNO, name);
}
