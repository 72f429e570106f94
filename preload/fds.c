/* What happens to files without a call on them: messages, munmap, fork. */
#include "shim.h"
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

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

/* By its end a child that is being forked says that the service knows it; -1: it is not told. */
static int told[2] = { -1, -1 };

static void put(int *fd)
{
	if (*fd >= 0)
		REAL(close)(*fd);
	*fd = -1;
}

static void before_fork(void)
{
	pthread_mutex_lock(&files_lock);
	http_before_fork();
	if (files_known_to_service() && !pipe2(told, O_CLOEXEC))
		process_count_child();
}

/* Nobody closes anything of what the child has before the service knows it, or it has died. */
static void in_parent(void)
{
	char end;

	http_after_fork(false);
	put(&told[1]);
	while (told[0] >= 0 && REAL(read)(told[0], &end, 1) < 0 && errno == EINTR)
		continue;
	put(&told[0]);
	pthread_mutex_unlock(&files_lock);
}

static void in_child(void)
{
	own_pid = getpid();
	http_after_fork(true);
	bool known = process_forked(told[0] >= 0);

	files_in_child(known);
	put(&told[0]);
	put(&told[1]);
	pthread_mutex_unlock(&files_lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, in_parent, in_child);
}
