/*
 * What a program must not do, or rarely does: each part prints what it came to. The last is a fuzzer of ioctls: its argument is a
 * seed. Group 0 is a PCI device 0000:01:00.0.
 */
#include "check.h"
#include <pthread.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>

#define GROUP "/dev/vfio/0"
#define NAME "0000:01:00.0"

extern char **environ;

/* Whether all of it works: a container of its own, a map and an unmap. */
static void show_works(const char *name)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU);
	long result = map(c, 0, memory(PAGE), PAGE, 3);

	show(name, result ? result : unmap(c, 0, PAGE, 0));
	close(g);
	close(c);
}

/* Closes all that it does not know, as a daemon does. */
static void closes(void)
{
	show_works("before");
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	show_works("after-close");
	closefrom(3);
	show_works("after-closefrom");
	for (int fd = 3; fd < 1024; fd++)
		dup2(2, fd);
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	show_works("after-dup2");
}

/* No descriptor is left: what cannot be opened is not left open, and what is open works. */
static void exhausts(void)
{
	struct rlimit limit = { 64, 64 };
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU), fds[64], n = 0;

	setrlimit(RLIMIT_NOFILE, &limit);
	while ((fds[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	show("full", fds[n]);
	show("container", open("/dev/vfio/vfio", O_RDWR));
	show("device", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME));
	show("map", map(c, 0, memory(PAGE), PAGE, 3));
	show("unmap", unmap(c, 0, PAGE, 0));
	while (n > 0)
		close(fds[--n]);
	show_ok("device-again", ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME));
}

/* Another environment, or none, before anything is opened and before an exec. */
static void environments(char *self)
{
	char *bare[] = { NULL };
	char *argv[] = { self, "works", NULL };

	environ = bare;
	show_works("bare");
	clearenv();
	show_works("cleared");
	execve(self, argv, NULL);
}

static void *closer(void *arg)
{
	for (int i = 0; i < 300; i++) {
		int fd = dup(*(int *)arg);

		close(fd);
	}
	return NULL;
}

/* ioctls on descriptors that other threads open and close. */
static void races(void)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU), low = dup(c);
	struct vfio_group_status status = { .argsz = sizeof(status) };
	pthread_t thread[4];
	int strange = 0;

	close(low);
	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, closer, i % 2 ? &c : &g);
	for (int i = 0; i < 300; i++) {
		int result = i % 2 ? ioctl(low, VFIO_CHECK_EXTENSION, 1) : ioctl(low, VFIO_GROUP_GET_STATUS, &status);

		strange += result < 0 && errno != EBADF && errno != ENOTTY && errno != EINVAL && errno != EFAULT;
	}
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	show("strange", strange);
	show("status", ioctl(g, VFIO_GROUP_GET_STATUS, &status));
}

/* Many children at once, each with the files, each using them. */
static void storm(void)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU), wrong = 0;
	void *at = memory(PAGE);

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 8; i++) {
			if (fork())
				continue;
			uint64_t iova = (uint64_t)(round * 8 + i) << 20;
			int failed = map(c, iova, at, PAGE, 3) != 0 || unmap(c, iova, PAGE, 0) != PAGE;

			if (i % 4 == 3)
				kill(getpid(), SIGKILL);
			_exit(failed);
		}
		for (int status; wait(&status) > 0;)
			wrong += !(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	}
	show("wrong", wrong);
	show("map", map(c, 0, at, PAGE, 3));
}

/* xorshift: the same numbers for the same seed. */
static uint64_t state;

static uint64_t number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* Numbers that are on the edge of something, mostly. */
static uint64_t edge(void)
{
	static const uint64_t edges[] = { 0, 1, 7, 8, 16, 24, 4095, 4096, 1ull << 20, 0x7fffffff, 0x80000000, 0xffffffff,
					  1ull << 32, 1ull << 47, 1ull << 63, ~0ull, ~0ull - 4095, ~0ull << 12 };

	return number() % 4 ? edges[number() % (sizeof(edges) / sizeof(edges[0]))] : number();
}

/* Each ioctl of each file with words from the edge; half of them lie at the end of memory. */
static void fuzz(long seed)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU), d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME);
	char *pages = memory(2 * PAGE), *data = memory(PAGE);
	int fds[] = { c, g, d }, counts[2] = { 0 };

	munmap(pages + PAGE, PAGE);
	state = seed * 0x9e3779b97f4a7c15ull + 1;
	for (int i = 0; i < 1500; i++) {
		int fd = fds[number() % 3], size = 8 * (number() % 12);
		unsigned request = _IO(';', number() % 8 ? 100 + number() % 22 : number() % 256);
		uint64_t *words = (uint64_t *)(pages + (number() % 2 ? PAGE - size : 0));

		/* What makes it another file, or takes it away: not in the middle of it. */
		if (fd == g && (request == VFIO_GROUP_UNSET_CONTAINER || request == VFIO_GROUP_GET_DEVICE_FD))
			continue;
		for (int w = 0; w < size / 8; w++)
			words[w] = number() % 3 ? edge() : number() % 2 ? (uintptr_t)data : ((edge() << 32) | (uint32_t)(8 * (number() % 16)));
		void *arg = number() % 16 ? (void *)words : (void *)edge();

		counts[ioctl(fd, request, arg) < 0]++;
	}
	printf("calls %d\n", counts[0] + counts[1] > 1000);
	unmap(c, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL);
	show("container", ioctl(c, VFIO_GET_API_VERSION));
	show("status", ioctl(g, VFIO_GROUP_GET_STATUS, &(struct vfio_group_status){ .argsz = 8 }));
}

int main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "";

	if (!strcmp(part, "closes"))
		closes();
	if (!strcmp(part, "exhausts"))
		exhausts();
	if (!strcmp(part, "environments"))
		environments(argv[0]);
	if (!strcmp(part, "works"))
		show_works("works");
	if (!strcmp(part, "races"))
		races();
	if (!strcmp(part, "storm"))
		storm();
	if (!strcmp(part, "fuzz"))
		fuzz(atol(argv[2]));
	return 0;
}
