/* What the program after an exec is told of the process that it is in the service. */
#include "shim.h"

const char exec_tag[] = "VFIO_HOST_PROCESS_PID";

/* A number, a colon and a name. */
size_t exec_tag_size(void)
{
	return ID_SIZE + 16;
}

static void tag_of(char *tag, pid_t pid, const char *name)
{
	snprintf(tag, exec_tag_size(), "%d:%s", (int)pid, name);
}

/*
 * The child of a vfork has its parent's memory, our tables among it, and descriptors of its own. The service is told of it now: what
 * it has done since is no more than a program may do between the two.
 */
void on_exec(const char *path, char *tag)
{
	char child[ID_SIZE];
	pid_t pid = getpid();

	*tag = 0;
	if (pid == own_pid) {
		if (process_is_own())
			tag_of(tag, pid, current_process());
		probes_cloexec(false);
	} else if (own_pid && (!path || REAL(access)(path, X_OK) == 0) && files_given(pid, child)) {
		tag_of(tag, pid, child);
		child_known(pid, child);
		probes_cloexec(false);
	}
}

void on_exec_failed(const char *tag)
{
	int kept = errno;

	probes_cloexec(true);
	if (*tag && getpid() != own_pid) {
		child_ends(getpid());
		files_taken_back(strchr(tag, ':') + 1);
	}
	errno = kept;
}

/* posix_spawn: its child has what this process has, as after a fork, and has no pid yet. */
void on_spawn(char *tag)
{
	char child[ID_SIZE];

	*tag = 0;
	if (getpid() != own_pid || !files_given(own_pid, child))
		return;
	tag_of(tag, 0, child);
	child_spawns(child);
	probes_cloexec(false);
}

void on_spawned(const char *tag, pid_t pid)
{
	const char *child = strchr(tag, ':');

	if (!child)
		return;
	probes_cloexec(true);
	child_spawned(child + 1, pid);
	if (!pid)
		files_taken_back(child + 1);
}

bool spawn_matters(void)
{
	pthread_mutex_lock(&files_lock);
	bool known = getpid() == own_pid && files_known_to_service();

	pthread_mutex_unlock(&files_lock);
	return known;
}
