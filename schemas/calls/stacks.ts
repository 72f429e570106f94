/** Frames below every call made from user space, innermost first. */
const SYSCALL = ['__x64_sys_ioctl', 'do_syscall_64', 'entry_SYSCALL_64_after_hwframe'];
const CLOSE = [
  '__fput',
  'task_work_run',
  'exit_to_user_mode_prepare',
  'do_syscall_64',
  'entry_SYSCALL_64_after_hwframe',
];

/** What an ioctl goes through, below the functions given. */
export const ioctl = (...functions: string[]): string[] => [...functions, ...SYSCALL];

/** What the last close of a file goes through. */
export const release = (...functions: string[]): string[] => [...functions, ...CLOSE];

/** What a thread of a driver's own goes through. */
export const driverThread = (...functions: string[]): string[] => [...functions, 'kthread', 'ret_from_fork'];
