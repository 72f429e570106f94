/* The libc's functions that files of /dev/vfio go through. */
#include "record.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define FOLDER "/dev/vfio/"

/* Notes what opening a node came to. */
static int took(const char *path, int flags, int fd)
{
	int error = fd < 0 ? errno : 0;

	if (!path || strncmp(path, FOLDER, sizeof(FOLDER) - 1) || flags & (O_PATH | O_DIRECTORY))
		return fd;
	const char *node = path + sizeof(FOLDER) - 1;
	bool group = strspn(node + (strncmp(node, "noiommu-", 8) ? 0 : 8), "0123456789") > 0;
	char name[32] = "";

	if (strchr(node, '/') || strchr(node, '"') || strchr(node, '\\') || (strcmp(node, "vfio") && !group))
		return fd;
	if (fd >= 0)
		opened(fd, group ? GROUP : CONTAINER, name, sizeof(name));
	line("{\"e\":\"open\",\"node\":\"%s\",\"file\":\"%s\",\"errno\":%d}", node, name, error);
	errno = error;
	return fd;
}

#define MODE(flags)                                           \
	mode_t mode = 0;                                      \
	if (flags & (O_CREAT | __O_TMPFILE)) {                \
		va_list args;                                 \
		va_start(args, flags);                        \
		mode = va_arg(args, mode_t);                  \
		va_end(args);                                 \
	}

#define OPEN(name)                                                    \
	HOOK int name(const char *path, int flags, ...)               \
	{                                                             \
		MODE(flags)                                           \
		return took(path, flags, NEXT(name)(path, flags, mode)); \
	}
#define OPENAT(name)                                                              \
	HOOK int name(int directory, const char *path, int flags, ...)            \
	{                                                                         \
		MODE(flags)                                                       \
		return took(path, flags, NEXT(name)(directory, path, flags, mode)); \
	}
#define OPEN_2(name)                                              \
	int name(const char *path, int flags);                    \
	HOOK int name(const char *path, int flags)                \
	{                                                         \
		return took(path, flags, NEXT(name)(path, flags)); \
	}

#ifndef __O_TMPFILE
#define __O_TMPFILE O_TMPFILE
#endif

OPEN(open)
OPENAT(openat)
#ifdef __GLIBC__
OPEN(open64)
OPENAT(openat64)
OPEN_2(__open_2)
OPEN_2(__open64_2)
#endif

HOOK int close(int fd)
{
	/* Before: the number may be somebody else's at once. */
	closed_fd(fd);
	return NEXT(close)(fd);
}

static void closed_range(unsigned first, unsigned last)
{
	for (unsigned fd = first; fd <= last && fd < 65536; fd++)
		closed_fd(fd);
}

HOOK int close_range(unsigned first, unsigned last, int flags)
{
	int result = NEXT(close_range)(first, last, flags);

	if (result == 0 && !(flags & 4)) /* CLOSE_RANGE_CLOEXEC */
		closed_range(first, last);
	return result;
}

HOOK void closefrom(int first)
{
	closed_range(first < 0 ? 0 : first, ~0u);
	NEXT(closefrom)(first);
}

HOOK int dup(int fd)
{
	int made = NEXT(dup)(fd);

	copied_fd(fd, made);
	return made;
}

HOOK int dup2(int from, int to)
{
	int made = NEXT(dup2)(from, to);

	if (made >= 0)
		copied_fd(from, made);
	return made;
}

HOOK int dup3(int from, int to, int flags)
{
	int made = NEXT(dup3)(from, to, flags);

	if (made >= 0)
		copied_fd(from, made);
	return made;
}

#define FCNTL(name)                                                                 \
	HOOK int name(int fd, int command, ...)                                     \
	{                                                                           \
		va_list args;                                                       \
		va_start(args, command);                                            \
		void *arg = va_arg(args, void *);                                   \
		va_end(args);                                                       \
		int result = NEXT(name)(fd, command, arg);                          \
		if (result >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC)) \
			copied_fd(fd, result);                                      \
		return result;                                                      \
	}

FCNTL(fcntl)
#ifdef __GLIBC__
FCNTL(fcntl64)
#endif

HOOK int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	char name[32];

	va_start(args, request);
	uint64_t arg = va_arg(args, unsigned long);

	va_end(args);
	enum kind kind = file_of(fd, name, sizeof(name));

	if (kind == NONE)
		return NEXT(ioctl)(fd, request, (void *)(uintptr_t)arg);
	return recorded_ioctl(kind, name, fd, request, arg);
}
