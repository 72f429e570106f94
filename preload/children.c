/*
 * Processes that are killed cannot say so. Each that the service knows has a file in the run's folder, named by its pid; whoever
 * waits for one that has left its file tells the service of its end, as the kernel has closed what it had open by then.
 */
#include "shim.h"
#include <limits.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* The file of a process; false where there is no folder for it. */
static bool path_of(pid_t pid, char *path)
{
	return shim.root && snprintf(path, PATH_MAX, "%s/processes/%d", shim.root, (int)pid) < PATH_MAX;
}

/* Where a child has its file as long as nobody knows its pid. */
static bool path_of_spawned(const char *name, char *path)
{
	return shim.root && snprintf(path, PATH_MAX, "%s/processes/of-%s", shim.root, name) < PATH_MAX;
}

static void write_name(const char *path, const char *name)
{
	int fd = REAL(open)(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return;
	if (REAL(write)(fd, name, strlen(name)) < 0) {
		/* Then nobody is told. */
	}
	REAL(close)(fd);
}

/* The name that a process's file has, into `name` (ID_SIZE bytes), where there is one. */
static bool read_name(const char *path, char *name)
{
	int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : REAL(read)(fd, name, ID_SIZE - 1);

	if (fd >= 0)
		REAL(close)(fd);
	if (n > 0)
		name[n] = 0;
	return n > 0;
}

/* Whether anybody learns of the end of a child that cannot tell it itself: there is a folder for its file. */
bool child_ends_are_seen(void)
{
	char path[PATH_MAX];

	return shim.root && snprintf(path, PATH_MAX, "%s/processes", shim.root) < PATH_MAX && !REAL(access)(path, W_OK | X_OK);
}

/* The service knows a process by that name. */
void child_known(pid_t pid, const char *name)
{
	char path[PATH_MAX];

	if (path_of(pid, path))
		write_name(path, name);
}

/* A child of this name is about to be made by posix_spawn, which tells its pid when it is another program already. */
void child_spawns(const char *name)
{
	char path[PATH_MAX];

	if (path_of_spawned(name, path))
		write_name(path, name);
}

/* Its pid is known, or 0: there is no child. Where it has been faster than its parent its file is its own by now. */
void child_spawned(const char *name, pid_t pid)
{
	char from[PATH_MAX], to[PATH_MAX];

	if (!path_of_spawned(name, from))
		return;
	if (!pid)
		unlink(from);
	else if (path_of(pid, to))
		rename(from, to);
}

/* Whether this process is the child of that name: its parent has handed this name on to one. */
bool child_is(const char *name)
{
	char from[PATH_MAX], to[PATH_MAX], known[ID_SIZE];

	if (!path_of_spawned(name, from) || !path_of(own_pid, to))
		return false;
	return !rename(from, to) || (read_name(to, known) && !strcmp(known, name));
}

/* The service is told of a process's end by itself. */
void child_ends(pid_t pid)
{
	char path[PATH_MAX];

	if (path_of(pid, path))
		unlink(path);
}

/* A child has been waited for. */
static void reaped(pid_t pid, int signal)
{
	char path[PATH_MAX], name[ID_SIZE];
	int kept = errno;

	if (pid <= 0 || getpid() != own_pid)
		return;
	shim_start_quietly();
	/* Of several who wait for it one tells. */
	if (shim.on && path_of(pid, path) && read_name(path, name) && !unlink(path)) {
		process_ended(name, signal);
		files_killed(name);
	}
	errno = kept;
}

static pid_t waited(pid_t pid, int *status, int options, struct rusage *usage)
{
	int what = 0;
	pid_t found = REAL(wait4)(pid, &what, options, usage);

	if (found > 0 && status)
		*status = what;
	if (found > 0 && (WIFSIGNALED(what) || WIFEXITED(what)))
		reaped(found, WIFSIGNALED(what) ? WTERMSIG(what) : 0);
	return found;
}

HOOK pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	return waited(pid, status, options, usage);
}

HOOK pid_t wait3(int *status, int options, struct rusage *usage)
{
	return waited(-1, status, options, usage);
}

HOOK pid_t waitpid(pid_t pid, int *status, int options)
{
	return waited(pid, status, options, NULL);
}

HOOK pid_t wait(int *status)
{
	return waited(-1, status, 0, NULL);
}

HOOK int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	siginfo_t unseen = { 0 }, *found = info ? info : &unseen;
	int result = REAL(waitid)(type, id, found, options);

	if (result == 0 && !(options & WNOWAIT) && found->si_code == CLD_EXITED)
		reaped(found->si_pid, 0);
	if (result == 0 && !(options & WNOWAIT) && (found->si_code == CLD_KILLED || found->si_code == CLD_DUMPED))
		reaped(found->si_pid, found->si_status);
	return result;
}
