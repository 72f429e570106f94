/*
 * The program's memory, as the kernel reaches it: an address that is not there is EFAULT, not a signal. The system
 * calls that copy between processes do exactly this when both are the same one.
 */
#include "shim.h"
#include <sys/uio.h>

int fails(int error)
{
	errno = error;
	return -1;
}

static int copied(ssize_t done, size_t size)
{
	if (done == (ssize_t)size)
		return 0;
	return fails(EFAULT);
}

/* The calling thread's stack; its end is 0: not asked for yet. */
static _Thread_local uint64_t stack_base, stack_end;

/*
 * Whether [at, at+size) is of the frames of those who called us: it can be read and written without asking the kernel, which would be
 * a system call more for each ioctl.
 */
static bool on_stack(uint64_t at, size_t size)
{
	uint64_t here = (uintptr_t)__builtin_frame_address(0);

	if (!stack_end) {
		pthread_attr_t attr;
		void *base;
		size_t length;

		stack_end = 1;
		if (pthread_getattr_np(pthread_self(), &attr))
			return false;
		pthread_attr_getstack(&attr, &base, &length);
		pthread_attr_destroy(&attr);
		stack_base = (uintptr_t)base;
		stack_end = stack_base + length;
	}
	/* A coroutine runs on another stack than its thread's. */
	return here > stack_base && at > here && at < stack_end && size <= stack_end - at;
}

static pid_t self(void)
{
	return own_pid ? own_pid : getpid();
}

int from_user(void *to, uint64_t from, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)(uintptr_t)from, size };

	if (on_stack(from, size)) {
		memcpy(to, remote.iov_base, size);
		return 0;
	}
	ssize_t done = process_vm_readv(self(), &local, 1, &remote, 1, 0);

	if (done < 0 && (errno == ENOSYS || errno == EPERM)) {
		/* A sandbox forbids them: then a bad address is a signal after all. */
		memcpy(to, remote.iov_base, size);
		return 0;
	}
	return copied(done, size);
}

int to_user(uint64_t to, const void *from, size_t size)
{
	struct iovec local = { (void *)from, size }, remote = { (void *)(uintptr_t)to, size };

	if (on_stack(to, size)) {
		memcpy(remote.iov_base, from, size);
		return 0;
	}
	ssize_t done = process_vm_writev(self(), &local, 1, &remote, 1, 0);

	if (done < 0 && (errno == ENOSYS || errno == EPERM)) {
		memcpy(remote.iov_base, from, size);
		return 0;
	}
	return copied(done, size);
}
