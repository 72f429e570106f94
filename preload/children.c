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

/* The service knows this process by that name. */
void child_known(const char *name)
{
	char path[PATH_MAX];
	int fd = path_of(own_pid, path) ? REAL(open)(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	if (REAL(write)(fd, name, strlen(name)) < 0) {
		/* Then nobody is told. */
	}
	REAL(close)(fd);
}

/* The service is told of this process's end by itself. */
void child_ends(void)
{
	char path[PATH_MAX];

	if (path_of(own_pid, path))
		unlink(path);
}

/* A child has been waited for. */
static void reaped(pid_t pid, int signal)
{
	char path[PATH_MAX], name[ID_SIZE] = "", body[32] = "{}";
	int kept = errno, fd = -1;

	if (pid <= 0 || getpid() != own_pid)
		return;
	shim_start_quietly();
	if (shim.on && path_of(pid, path))
		fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t n = REAL(read)(fd, name, sizeof(name) - 1);

		REAL(close)(fd);
		/* Of several who wait for it one tells. */
		if (n > 0 && !unlink(path)) {
			struct reply reply;

			if (signal)
				snprintf(body, sizeof(body), "{\"signal\":%d}", signal);
			snprintf(path, sizeof(path), "/v1/processes/%s/exit-process", name);
			http_call(&reply, "POST", path, body);
			reply_end(&reply);
			files_killed(name);
		}
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
