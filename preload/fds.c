/* What happens to descriptors and to processes: close, dup, fcntl, messages, munmap, fork, exec, exit. */
#include "shim.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

HOOK int close(int fd)
{
	if (fd_is_ours(fd)) {
		fd_closed(fd);
		return 0;
	}
	if (fd_is_internal(fd))
		return fails(EBADF);
	return REAL(close)(fd);
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
		if (flags & (1u << 2)) /* CLOSE_RANGE_CLOEXEC */
			REAL(fcntl)(fd, F_SETFD, FD_CLOEXEC);
		else
			close(fd);
	}
	closedir(folder);
	return 0;
}

HOOK int close_range(unsigned first, unsigned last, int flags)
{
	if (first > last || flags & ~6)
		return fails(EINVAL);
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
		return fails(EBUSY);
	int made = REAL(dup2)(from, to);

	if (made >= 0)
		fd_copied(from, made);
	return made;
}

HOOK int dup3(int from, int to, int flags)
{
	if (fd_is_internal(to))
		return fails(EBUSY);
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

/* Descriptors that came with a message. */
static void take_received(struct msghdr *message)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
			fd_received(fd);
		}
	}
}

HOOK ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t n = REAL(recvmsg)(fd, message, flags);

	if (n >= 0 && message->msg_controllen > 0)
		take_received(message);
	return n;
}

HOOK int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout)
{
	int n = REAL(recvmmsg)(fd, messages, count, flags, timeout);

	for (int i = 0; i < n; i++)
		if (messages[i].msg_hdr.msg_controllen > 0)
			take_received(&messages[i].msg_hdr);
	return n;
}

HOOK int munmap(void *at, size_t size)
{
	int result = REAL(munmap)(at, size);

	if (result == 0)
		files_unmapped();
	return result;
}

static void before_fork(void)
{
	files_before_fork();
	http_before_fork();
}

static void in_parent(void)
{
	http_after_fork(false);
	files_after_fork(false);
}

static void in_child(void)
{
	http_after_fork(true);
	files_after_fork(true);
	process_after_fork();
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
}

/* The end of the program, as exit and a return from main come to it; after the program's own last functions. */
__attribute__((destructor)) static void end(void)
{
	files_exit();
}

HOOK void __attribute__((noreturn)) _exit(int code)
{
	files_exit();
	syscall(SYS_exit_group, code);
	__builtin_unreachable();
}

HOOK void __attribute__((noreturn)) _Exit(int code)
{
	_exit(code);
}
