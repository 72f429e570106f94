/* Programs that are started without a fork that tells us: posix_spawn, system, popen. */
#include "hooks.h"
#include <alloca.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef int spawn_function(pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const[],
			   char *const[]);

static int spawn(spawn_function *real, pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	char *tag = alloca(exec_tag_size());
	pid_t made = 0;

	on_spawn(tag);
	int error = real(&made, path, actions, attributes, argv, WITH_OURS(envp, tag));

	on_spawned(tag, error ? 0 : made);
	if (!error && pid)
		*pid = made;
	return error;
}

HOOK int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
		     char *const argv[], char *const envp[])
{
	return spawn(REAL(posix_spawn), pid, path, actions, attributes, argv, envp);
}

HOOK int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
		      char *const argv[], char *const envp[])
{
	return spawn(REAL(posix_spawnp), pid, file, actions, attributes, argv, envp);
}

static int shell(pid_t *pid, const char *command, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes)
{
	char *const argv[] = { "sh", "-c", (char *)command, NULL };

	return posix_spawn(pid, "/bin/sh", actions, attributes, argv, environ);
}

/* Several threads may be in system at once: the first ignores the signals, the last restores them. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned systems;
static struct sigaction interrupt, quit;

static void ignore_signals(void)
{
	struct sigaction ignored = { .sa_handler = SIG_IGN };

	pthread_mutex_lock(&lock);
	if (systems++ == 0) {
		sigaction(SIGINT, &ignored, &interrupt);
		sigaction(SIGQUIT, &ignored, &quit);
	}
	pthread_mutex_unlock(&lock);
}

static void restore_signals(void)
{
	pthread_mutex_lock(&lock);
	if (--systems == 0) {
		sigaction(SIGINT, &interrupt, NULL);
		sigaction(SIGQUIT, &quit, NULL);
	}
	pthread_mutex_unlock(&lock);
}

HOOK int system(const char *command)
{
	posix_spawnattr_t attributes;
	sigset_t blocked, before, defaults;
	int status = -1;
	pid_t pid;

	if (!command || !spawn_matters())
		return REAL(system)(command);
	ignore_signals();
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	pthread_sigmask(SIG_BLOCK, &blocked, &before);
	sigemptyset(&defaults);
	if (interrupt.sa_handler != SIG_IGN)
		sigaddset(&defaults, SIGINT);
	if (quit.sa_handler != SIG_IGN)
		sigaddset(&defaults, SIGQUIT);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &before);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	int error = shell(&pid, command, NULL, &attributes);

	posix_spawnattr_destroy(&attributes);
	if (error)
		status = W_EXITCODE(127, 0);
	else
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			continue;
	restore_signals();
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error)
		errno = error;
	return status;
}

/* Streams of popen that are open. */
struct pipe_of {
	FILE *stream;
	pid_t pid;
	struct pipe_of *next;
};
static struct pipe_of *pipes;

/* A pipe whose end `theirs` is the standard input or output of a shell. */
static FILE *pipe_to(const char *command, int ours, int theirs, const char *mode, bool cloexec, struct pipe_of *made)
{
	posix_spawn_file_actions_t actions;

	posix_spawn_file_actions_init(&actions);
	pthread_mutex_lock(&lock);
	for (struct pipe_of *other = pipes; other; other = other->next)
		posix_spawn_file_actions_addclose(&actions, fileno(other->stream));
	pthread_mutex_unlock(&lock);
	posix_spawn_file_actions_adddup2(&actions, theirs, *mode == 'r' ? STDOUT_FILENO : STDIN_FILENO);
	int error = shell(&made->pid, command, &actions, NULL);

	posix_spawn_file_actions_destroy(&actions);
	REAL(close)(theirs);
	made->stream = error ? NULL : fdopen(ours, mode);
	if (!made->stream) {
		REAL(close)(ours);
		errno = error ? error : errno;
	} else if (!cloexec) {
		REAL(fcntl)(ours, F_SETFD, 0);
	}
	return made->stream;
}

HOOK FILE *popen(const char *command, const char *mode)
{
	bool reads = *mode == 'r', cloexec = strchr(mode, 'e') != NULL;
	int ends[2];

	if (!spawn_matters() || (*mode != 'r' && *mode != 'w') || strspn(mode, reads ? "re" : "we") != strlen(mode))
		return REAL(popen)(command, mode);
	struct pipe_of *made = malloc(sizeof(*made));

	if (!made || pipe2(ends, O_CLOEXEC)) {
		free(made);
		return NULL;
	}
	if (!pipe_to(command, ends[!reads], ends[reads], reads ? "r" : "w", cloexec, made)) {
		free(made);
		return NULL;
	}
	pthread_mutex_lock(&lock);
	made->next = pipes;
	pipes = made;
	pthread_mutex_unlock(&lock);
	return made->stream;
}

/* Takes a stream of popen out of the list; NULL: it is none. */
static struct pipe_of *take(const FILE *stream)
{
	struct pipe_of **at = &pipes, *found;

	pthread_mutex_lock(&lock);
	while (*at && (*at)->stream != stream)
		at = &(*at)->next;
	found = *at;
	if (found)
		*at = found->next;
	pthread_mutex_unlock(&lock);
	return found;
}

static int close_pipe(struct pipe_of *pipe)
{
	pid_t pid = pipe->pid;
	int status;

	REAL(fclose)(pipe->stream);
	free(pipe);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

HOOK int pclose(FILE *stream)
{
	struct pipe_of *pipe = take(stream);

	return pipe ? close_pipe(pipe) : REAL(pclose)(stream);
}

/* As in the libc, what popen made may be closed by either name. */
HOOK int fclose(FILE *stream)
{
	struct pipe_of *pipe = take(stream);

	return pipe ? close_pipe(pipe) : REAL(fclose)(stream);
}
