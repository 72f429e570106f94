/*
 * Programs that are started without a fork: each has what its parent has, is a process of the kernel, and closes what an exec or a
 * file action closes. Each part ends with whether the group is free.
 */
#include "check.h"
#include <signal.h>
#include <stdbool.h>
#include <spawn.h>
#include <sys/stat.h>

#define GROUP "/dev/vfio/0"
#define NAME "0000:01:00.0"

extern char **environ;

static char *self;
static int container, group;

static void show_free(const char *name)
{
	int g = open(GROUP, O_RDWR);

	show_ok(name, g);
	if (g >= 0)
		close(g);
}

static void reap(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		printf("status %x\n", status);
}

static pid_t spawned(const char *part, int c, int g, const posix_spawn_file_actions_t *actions)
{
	char numbers[2][16];
	char *argv[] = { self, (char *)part, numbers[0], numbers[1], NULL };
	pid_t pid;

	snprintf(numbers[0], 16, "%d", c);
	snprintf(numbers[1], 16, "%d", g);
	if (posix_spawn(&pid, self, actions, NULL, argv, environ))
		exit(1);
	return pid;
}

/* The child uses what it has: its maps are of its own memory. */
static void uses(int c)
{
	show("child-unmaps", unmap(c, 0, PAGE, 0));
	show("child-maps", map(c, PAGE, memory(PAGE), PAGE, 3));
}

static void spawns(void)
{
	int hidden = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	(void)hidden;
	show("maps", map(container, 0, memory(PAGE), PAGE, 3));
	reap(spawned("uses", container, group, NULL));
	show("unmaps", unmap(container, PAGE, PAGE, 0));
}

/* The child goes on with what its parent lets go. */
static void outlives(void)
{
	int go[2];
	posix_spawn_file_actions_t actions;

	if (pipe2(go, O_CLOEXEC))
		exit(1);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, go[0], 0);
	pid_t pid = spawned("waits", container, group, &actions);

	close(container);
	close(group);
	show_free("closed-by-parent");
	close(go[1]);
	reap(pid);
	show_free("child-ended");
}

static void waits(int c, int g)
{
	char byte;

	(void)c;
	(void)!read(0, &byte, 1);
	show("status-in-child", ioctl(g, VFIO_GROUP_GET_STATUS, &(struct vfio_group_status){ .argsz = 8 }));
}

/* A pipe for the standard input of a child, another one for its output. */
static int go[2], said[2];

static void connect_to(posix_spawn_file_actions_t *actions)
{
	if (pipe2(go, O_CLOEXEC) || pipe2(said, O_CLOEXEC))
		exit(1);
	posix_spawn_file_actions_init(actions);
	posix_spawn_file_actions_adddup2(actions, go[0], 0);
	posix_spawn_file_actions_adddup2(actions, said[1], 1);
}

/* The child runs, and has closed by then what it was not to have. */
static void await_child(void)
{
	char byte;

	if (read(said[0], &byte, 1) != 1)
		exit(1);
}

/* File actions close the files in the child, one by one or all. */
static void closing(bool all)
{
	posix_spawn_file_actions_t actions;

	connect_to(&actions);
	if (all) {
		posix_spawn_file_actions_addclosefrom_np(&actions, 3);
	} else {
		posix_spawn_file_actions_addclose(&actions, container);
		posix_spawn_file_actions_addclose(&actions, group);
	}
	pid_t pid = spawned("idles", 0, 0, &actions);

	await_child();
	close(container);
	close(group);
	show_free("closed-in-child");
	close(go[1]);
	reap(pid);
}

static void idles(void)
{
	char byte;

	(void)!write(1, "x", 1);
	(void)!read(0, &byte, 1);
}

static void vforks(void)
{
	char numbers[2][16];
	char *argv[] = { self, "uses", numbers[0], numbers[1], NULL };

	snprintf(numbers[0], 16, "%d", container);
	snprintf(numbers[1], 16, "%d", group);
	show("maps", map(container, 0, memory(PAGE), PAGE, 3));
	pid_t pid = vfork();

	if (pid == 0) {
		execve("/nonexistent", argv, environ);
		execve(self, argv, environ);
		_exit(1);
	}
	reap(pid);
	show("unmaps", unmap(container, PAGE, PAGE, 0));
	pid = vfork();
	if (pid == 0)
		_exit(0);
	reap(pid);
	show("status", ioctl(group, VFIO_GROUP_GET_STATUS, &(struct vfio_group_status){ .argsz = 8 }));
}

/* The parent's descriptors stay its own, of the numbers among which the library has connections as well (with a limit of 512). */
static void vforks_beside(void)
{
	char *argv[] = { self, "ends", "", "", NULL };
	struct stat null, now;
	int mine[16], lost = fstat(0, &null);

	show("maps", map(container, 0, memory(PAGE), PAGE, 3));
	pid_t pid = vfork();

	if (pid == 0) {
		execve(self, argv, environ);
		_exit(1);
	}
	reap(pid);
	for (int i = 0; i < 16; i++)
		mine[i] = fcntl(0, F_DUPFD_CLOEXEC, 352);
	show("open", open(GROUP, O_RDWR));
	show("status", ioctl(group, VFIO_GROUP_GET_STATUS, &(struct vfio_group_status){ .argsz = 8 }));
	for (int i = 0; i < 16; i++)
		lost += fstat(mine[i], &now) || now.st_ino != null.st_ino;
	show("lost", lost);
}

/* The same, where there is no descriptor left to make a connection with. The program after the exec has room. */
static void vforks_full(void)
{
	char *argv[] = { self, "ends", "", "", NULL };
	int first = dup(0);

	if (first < 0)
		exit(1);
	while (dup(0) >= 0)
		continue;
	show("full", -1);
	for (int fd = first; fd < 4096; fd++)
		fcntl(fd, F_SETFD, fd == container || fd == group ? 0 : FD_CLOEXEC);
	pid_t pid = vfork();

	if (pid == 0) {
		execve(self, argv, environ);
		_exit(1);
	}
	reap(pid);
	show("status", ioctl(group, VFIO_GROUP_GET_STATUS, &(struct vfio_group_status){ .argsz = 8 }));
}

static void shells(void)
{
	char command[256], line[256];

	snprintf(command, sizeof(command), "%s uses %d %d", self, container, group);
	show("maps", map(container, 0, memory(PAGE), PAGE, 3));
	show("system", system(command));
	show("unmaps", unmap(container, PAGE, PAGE, 0));
	show("maps", map(container, 0, memory(PAGE), PAGE, 3));
	FILE *from = popen(command, "r"), *other = popen("exit 3", "w");

	while (fgets(line, sizeof(line), from))
		printf("popen: %s", line);
	show("pclose", pclose(from));
	show("exit", WEXITSTATUS(pclose(other)));
	/* The next one knows nothing of a stream that is gone. */
	show("fclose", WEXITSTATUS(fclose(popen("exit 4", "w"))));
	show("pclose-next", WEXITSTATUS(pclose(popen("exit 5", "r"))));
	show("unmaps", unmap(container, PAGE, PAGE, 0));
	show("no-program", WEXITSTATUS(system("/nonexistent 2>/dev/null")));
	show("no-shell", system(NULL));
}

/* No program, and one that is killed. */
static void fails(void)
{
	char *argv[] = { "/nonexistent", NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;

	errno = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
	show("no-program", -1);
	connect_to(&actions);
	pid = spawned("idles", container, group, &actions);
	await_child();
	close(container);
	close(group);
	show_free("child-has-it");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	show_free("child-killed");
}

/* Programs that know nothing of the library: a shell, and one after a vfork. They end before this one closes what it has. */
static void without_library(void)
{
	char *argv[] = { "/bin/true", NULL }, *bare[] = { "LD_PRELOAD=", NULL };
	pid_t pid;

	setenv("LD_PRELOAD", "", 1);
	show("system", system("true"));
	show("pclose", pclose(popen("true", "r")));
	if (posix_spawn(&pid, argv[0], NULL, NULL, argv, bare))
		exit(1);
	reap(pid);
	pid = vfork();
	if (pid == 0) {
		execve(argv[0], argv, bare);
		_exit(1);
	}
	reap(pid);
	show("maps", map(container, 0, memory(PAGE), PAGE, 3));
	close(container);
	close(group);
	show_free("closed");
}

int main(int argc, char **argv)
{
	const char *part = argc > 1 ? argv[1] : "";

	self = argv[0];
	if (argc > 3) {
		if (!strcmp(part, "uses"))
			uses(atoi(argv[2]));
		if (!strcmp(part, "waits"))
			waits(atoi(argv[2]), atoi(argv[3]));
		if (!strcmp(part, "idles"))
			idles();
		return 0;
	}
	container = attached(&group, 0, VFIO_TYPE1v2_IOMMU);
	if (!strcmp(part, "spawns"))
		spawns();
	if (!strcmp(part, "outlives"))
		outlives();
	if (!strcmp(part, "closes-each"))
		closing(false);
	if (!strcmp(part, "closes-all"))
		closing(true);
	if (!strcmp(part, "vforks"))
		vforks();
	if (!strcmp(part, "vforks-beside"))
		vforks_beside();
	if (!strcmp(part, "vforks-full"))
		vforks_full();
	if (!strcmp(part, "shells"))
		shells();
	if (!strcmp(part, "without-library"))
		without_library();
	if (!strcmp(part, "fails"))
		fails();
	return 0;
}
