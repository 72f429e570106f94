/* open by all the names that it has, and ioctl. */
#include "hooks.h"
#include <fcntl.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#ifndef __O_TMPFILE
#define __O_TMPFILE O_TMPFILE
#endif

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define OPEN(name, more)                                             \
	HOOK int name(const char *path, int flags, ...)              \
	{                                                            \
		va_list args;                                        \
		va_start(args, flags);                               \
		mode_t mode = mode_of(flags, args);                  \
		va_end(args);                                        \
		return on_open(AT_FDCWD, path, flags | (more), mode); \
	}
#define OPENAT(name, more)                                            \
	HOOK int name(int directory, const char *path, int flags, ...) \
	{                                                             \
		va_list args;                                         \
		va_start(args, flags);                                \
		mode_t mode = mode_of(flags, args);                   \
		va_end(args);                                         \
		return on_open(directory, path, flags | (more), mode); \
	}

OPEN(open, 0)
OPENAT(openat, 0)
#ifdef __GLIBC__
OPEN(open64, O_LARGEFILE)
OPENAT(openat64, O_LARGEFILE)

/* What a fortified program calls where it gives no mode. */
HOOK int __open_2(const char *path, int flags)
{
	return on_open(AT_FDCWD, path, flags, 0);
}

HOOK int __open64_2(const char *path, int flags)
{
	return on_open(AT_FDCWD, path, flags | O_LARGEFILE, 0);
}

HOOK int __openat_2(int directory, const char *path, int flags)
{
	return on_open(directory, path, flags, 0);
}

HOOK int __openat64_2(int directory, const char *path, int flags)
{
	return on_open(directory, path, flags | O_LARGEFILE, 0);
}
#endif

HOOK int ioctl(int fd, unsigned long request, ...)
{
	va_list args;

	va_start(args, request);
	uint64_t arg = va_arg(args, unsigned long);

	va_end(args);
	return on_ioctl(fd, request, arg);
}
