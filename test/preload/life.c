/*
 * How long files stay open. Each part ends with whether the group could be opened by somebody else, which is what tells that
 * the last of it has been closed. Group 0 is a PCI device 0000:01:00.0.
 */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define GROUP "/dev/vfio/0"
#define NAME "0000:01:00.0"

/* Whether the group is free: opens it and closes it again. */
static void show_free(const char *name)
{
	int g = open(GROUP, O_RDWR);

	show_ok(name, g);
	if (g >= 0)
		close(g);
}

static void dups(void)
{
	int g = open(GROUP, O_RDWR), a = dup(g), b = fcntl(g, F_DUPFD_CLOEXEC, 200), null = open("/dev/null", O_RDWR);

	close(g);
	show_free("dup-left");
	close(a);
	show_free("fcntl-left");
	show("status-by-duplicate", ioctl(b, VFIO_GROUP_GET_STATUS, &(struct vfio_group_status){ .argsz = 8 }));
	dup2(null, b);
	show_free("dup2-over-the-last");
	g = open(GROUP, O_RDWR);
	close_range(g, g, 0);
	show_free("close-range");
}

/* Writes a byte to a pipe, or waits for one. */
static void tell(const int *pipe)
{
	if (write(pipe[1], "x", 1) != 1)
		exit(1);
}

static void await(const int *pipe)
{
	char c;

	if (read(pipe[0], &c, 1) != 1)
		exit(1);
}

static void forks(void)
{
	int g = open(GROUP, O_RDWR), go[2];

	if (pipe(go))
		exit(1);
	pid_t child = fork();

	if (child == 0) {
		await(go);
		show_free("child-has-it");
		close(g);
		show_free("closed-by-both");
		exit(0);
	}
	close(g);
	show_free("closed-by-parent");
	tell(go);
	waitpid(child, NULL, 0);
	g = open(GROUP, O_RDWR);
	child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, NULL, 0);
	show_free("child-exited");
	close(g);
	show_free("then-closed");
	child = fork();
	if (child == 0) {
		open(GROUP, O_RDWR);
		exit(0);
	}
	waitpid(child, NULL, 0);
	show_free("opener-exited");
}

/* A program that never asks for /dev/vfio: its own descriptors are left alone in a child, 0 among them. */
static void strangers(void)
{
	close(0);
	show("stdin", open("/dev/null", O_RDONLY));
	pid_t child = fork();

	if (child == 0)
		_exit(fcntl(0, F_GETFD) == 0 ? 0 : 1);
	int status;

	waitpid(child, &status, 0);
	show("stdin-in-child", WEXITSTATUS(status));
	show("closed", close(0));
}

static void execs(char *self)
{
	int g = open(GROUP, O_RDWR), h, go[2];
	char number[16];

	snprintf(number, sizeof(number), "%d", g);
	pid_t child = fork();

	if (child == 0) {
		execl(self, self, "after-exec", number, NULL);
		_exit(1);
	}
	close(g);
	waitpid(child, NULL, 0);
	show_free("exec-ended");
	h = open(GROUP, O_RDWR | O_CLOEXEC);
	if (pipe(go))
		exit(1);
	child = fork();
	if (child == 0) {
		char *const bare[] = { NULL };
		char *const argv[] = { self, "after-exec-closed", NULL };

		await(go);
		show_free("before-exec");
		execve(self, argv, bare);
		_exit(1);
	}
	close(h);
	tell(go);
	waitpid(child, NULL, 0);
}

static void messages(void)
{
	int pair[2], g = open(GROUP, O_RDWR);
	char byte = 0, room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { &byte, 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	struct cmsghdr *part = CMSG_FIRSTHDR(&message);

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		exit(1);
	pid_t child = fork();

	if (child == 0) {
		close(g);
		if (recvmsg(pair[1], &message, 0) != 1)
			exit(1);
		int got;

		memcpy(&got, CMSG_DATA(part), sizeof(got));
		show("status-of-received", ioctl(got, VFIO_GROUP_GET_STATUS, &(struct vfio_group_status){ .argsz = 8 }));
		show_free("received-is-open");
		close(got);
		show_free("received-is-closed");
		exit(0);
	}
	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(part), &g, sizeof(g));
	if (sendmsg(pair[0], &message, 0) != 1)
		exit(1);
	close(g);
	waitpid(child, NULL, 0);
	show_free("after-the-receiver");
}

static void mappings(void)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU), d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME);
	void *bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, d, 0);

	close(d);
	show("unset-while-mapped", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	munmap(bar, PAGE);
	show("unset-after-munmap", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	close(g);
	close(c);
}

static void orders(void)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU), d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME);

	close(c);
	close(g);
	show_free("device-holds-the-group");
	close(d);
	show_free("device-closed");
}

static void *many(void *arg)
{
	int c = *(int *)arg;
	static int threads;
	uint64_t base = (uint64_t)__atomic_add_fetch(&threads, 1, __ATOMIC_SEQ_CST) << 24;
	char *at = memory(PAGE);
	long wrong = 0;

	for (int i = 0; i < 200; i++) {
		wrong += map(c, base + i * PAGE, at, PAGE, 3) != 0;
		wrong += unmap(c, base + i * PAGE, PAGE, 0) != PAGE;
	}
	return (void *)wrong;
}

static void threads(void)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU);
	pthread_t thread[8];
	long wrong = 0;

	for (int i = 0; i < 8; i++)
		pthread_create(&thread[i], NULL, many, &c);
	for (int i = 0; i < 8; i++) {
		void *n;

		pthread_join(thread[i], &n);
		wrong += (long)n;
	}
	show("wrong", wrong);
}

/* More calls than a service keeps of a trace. */
static void longer(void)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU);
	char *at = memory(PAGE);

	for (int i = 0; i < 11000; i++) {
		map(c, 0, at, PAGE, 3);
		unmap(c, 0, PAGE, 0);
	}
}

/* Has files open and is killed. */
static void killed(void)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU), d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME);

	(void)c;
	map(c, 0, memory(PAGE), PAGE, 3);
	show_ok("open", d);
	kill(getpid(), SIGKILL);
}

/* A child that is killed, one that ends without the libc, and one that a thread forks while others map. */
static void kills(void)
{
	int go[2];

	if (pipe(go))
		exit(1);
	for (int signal = 0; signal <= SIGKILL; signal += SIGKILL) {
		pid_t child = fork();

		if (child == 0) {
			open(GROUP, O_RDWR);
			tell(go);
			if (signal)
				pause();
			syscall(SYS_exit_group, 0);
		}
		await(go);
		if (signal)
			kill(child, signal);
		waitpid(child, NULL, 0);
		show_free(signal ? "killed" : "unseen");
	}
	int g = open(GROUP, O_RDWR);
	pid_t child = fork();

	if (child == 0)
		pause();
	close(g);
	show_free("child-has-it");
	kill(child, SIGTERM);
	waitpid(child, NULL, 0);
	show_free("child-killed");
}

/* What each process does is seen as its own: its maps are of its memory, its exec and its exit are told. */
static void family(char *self)
{
	int g, c = attached(&g, 0, VFIO_TYPE1v2_IOMMU), d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, NAME);
	char numbers[3][16];
	char *argv[] = { self, "family-execs", numbers[0], numbers[1], NULL };
	pid_t child = fork();

	(void)d;
	if (child == 0) {
		show("child-maps", map(c, 0, memory(PAGE), PAGE, 3));
		exit(0);
	}
	waitpid(child, NULL, 0);
	show("parent-unmaps", unmap(c, 0, PAGE, 0));
	show("parent-maps", map(c, PAGE, memory(PAGE), PAGE, 3));
	snprintf(numbers[0], 16, "%d", c);
	snprintf(numbers[1], 16, "%d", g);
	execv(self, argv);
}

static void family_execs(int c, int g)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };

	show("after-exec-unmaps", unmap(c, PAGE, PAGE, 0));
	show("after-exec-maps", map(c, 0, memory(PAGE), PAGE, 3));
	show("device-went-with-exec", ioctl(g, VFIO_GROUP_UNSET_CONTAINER));
	show("status", ioctl(g, VFIO_GROUP_GET_STATUS, &status));
}

int main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "";

	if (!strcmp(part, "dups"))
		dups();
	if (!strcmp(part, "forks"))
		forks();
	if (!strcmp(part, "strangers"))
		strangers();
	if (!strcmp(part, "execs"))
		execs(argv[0]);
	if (!strcmp(part, "messages"))
		messages();
	if (!strcmp(part, "mappings"))
		mappings();
	if (!strcmp(part, "orders"))
		orders();
	if (!strcmp(part, "threads"))
		threads();
	if (!strcmp(part, "long"))
		longer();
	if (!strcmp(part, "killed"))
		killed();
	if (!strcmp(part, "kills"))
		kills();
	if (!strcmp(part, "family"))
		family(argv[0]);
	if (!strcmp(part, "family-execs"))
		family_execs(atoi(argv[2]), atoi(argv[3]));
	if (!strcmp(part, "after-exec")) {
		show("status-after-exec", ioctl(atoi(argv[2]), VFIO_GROUP_GET_STATUS, &(struct vfio_group_status){ .argsz = 8 }));
		show_free("open-after-exec");
	}
	if (!strcmp(part, "after-exec-closed"))
		show_free("after-exec");
	return 0;
}
