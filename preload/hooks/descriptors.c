/* close, dup and fcntl, by all the names that they have. */
#include "hooks.h"
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1u << 1)
#define CLOSE_RANGE_CLOEXEC (1u << 2)
#endif

void *real_symbol(const char *name)
{
	void *at = dlsym(RTLD_NEXT, name);

	if (!at) {
		dprintf(STDERR_FILENO, "vfio-host: the C library has no %s\n", name);
		abort();
	}
	return at;
}

static int refused(int error)
{
	errno = error;
	return -1;
}

HOOK int close(int fd)
{
	if (fd_is_ours(fd)) {
		fd_closed(fd);
		return 0;
	}
	return fd_is_internal(fd) ? refused(EBADF) : REAL(close)(fd);
}

/* Closes a range piece by piece, as there are descriptors in it that are more than that. */
static int close_each(unsigned first, unsigned last, int flags)
{
	DIR *folder = REAL(opendir)("/proc/self/fd");
	struct dirent *entry;

	if (!folder)
		return -1;
	while ((entry = readdir(folder))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] == '.' || fd == dirfd(folder) || (unsigned)fd < first || (unsigned)fd > last)
			continue;
		if (fd_is_internal(fd))
			continue;
		if (flags & CLOSE_RANGE_CLOEXEC)
			REAL(fcntl)(fd, F_SETFD, FD_CLOEXEC);
		else
			close(fd);
	}
	closedir(folder);
	return 0;
}

HOOK int close_range(unsigned first, unsigned last, int flags)
{
	if (first > last || flags & ~(int)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC))
		return refused(EINVAL);
	return close_each(first, last, flags);
}

HOOK void closefrom(int first)
{
	close_each(first < 0 ? 0 : first, ~0u, 0);
}

HOOK int dup(int fd)
{
	int made = REAL(dup)(fd);

	if (made >= 0)
		fd_copied(fd, made);
	return made;
}

HOOK int dup2(int from, int to)
{
	if (from != to && fd_is_internal(to))
		return refused(EBUSY);
	int made = REAL(dup2)(from, to);

	if (made >= 0)
		fd_copied(from, made);
	return made;
}

HOOK int dup3(int from, int to, int flags)
{
	if (fd_is_internal(to))
		return refused(EBUSY);
	int made = REAL(dup3)(from, to, flags);

	if (made >= 0)
		fd_copied(from, made);
	return made;
}

static int fcntl_of(int fd, int command, void *arg)
{
	int result = REAL(fcntl)(fd, command, arg);

	if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
		fd_copied(fd, result);
	return result;
}

#define FCNTL(name)                              \
	HOOK int name(int fd, int command, ...)  \
	{                                        \
		va_list args;                    \
		va_start(args, command);         \
		void *arg = va_arg(args, void *); \
		va_end(args);                    \
		return fcntl_of(fd, command, arg); \
	}

FCNTL(fcntl)
#ifdef __GLIBC__
FCNTL(fcntl64)
#endif
