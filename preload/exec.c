/* exec: the program that comes takes over what stays open, and what the environment says of the service. */
#include "shim.h"
#include <alloca.h>
#include <spawn.h>

extern char **environ;

static const char *const KEPT[] = { "LD_PRELOAD=", "VFIO_HOST_URL=", "VFIO_HOST_RIG=", "VFIO_HOST_ROOT=",
				    "VFIO_HOST_RECORD=", "VFIO_HOST_WEDGED=", "VFIO_HOST_MEMLOCK=", "VFIO_HOST_PROCESS=",
				    "VFIO_HOST_TOKEN=" };
#define KEPT_COUNT (sizeof(KEPT) / sizeof(KEPT[0]))

static char *variable(char *const *envp, const char *name)
{
	for (; envp && *envp; envp++)
		if (!strncmp(*envp, name, strlen(name)))
			return *envp;
	return NULL;
}

static size_t length_of(char *const *envp)
{
	size_t n = 0;

	while (envp && envp[n])
		n++;
	return n;
}

/* An environment with what the shim needs, where a program made one without it; `out` has room for all. */
static char **with_ours(char *const *envp, char **out)
{
	size_t n = length_of(envp);

	memcpy(out, envp, n * sizeof(*out));
	for (size_t i = 0; i < KEPT_COUNT; i++) {
		char *ours = variable(environ, KEPT[i]);

		if (ours && !variable(envp, KEPT[i]))
			out[n++] = ours;
	}
	out[n] = NULL;
	return out;
}

#define WITH_OURS(envp) with_ours(envp, alloca((length_of(envp) + KEPT_COUNT + 1) * sizeof(char *)))

HOOK int execve(const char *path, char *const argv[], char *const envp[])
{
	files_before_exec();
	REAL(execve)(path, argv, WITH_OURS(envp));
	files_exec_failed();
	return -1;
}

HOOK int execvpe(const char *file, char *const argv[], char *const envp[])
{
	files_before_exec();
	REAL(execvpe)(file, argv, WITH_OURS(envp));
	files_exec_failed();
	return -1;
}

HOOK int fexecve(int fd, char *const argv[], char *const envp[])
{
	files_before_exec();
	REAL(fexecve)(fd, argv, WITH_OURS(envp));
	files_exec_failed();
	return -1;
}

HOOK int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

HOOK int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* The arguments of a call that lists them, on the stack of whoever asks: up to NULL. */
#define LISTED(argv, first, args)                                       \
	do {                                                            \
		va_list count;                                          \
		size_t n = 1;                                           \
		va_copy(count, args);                                   \
		while (va_arg(count, char *))                           \
			n++;                                            \
		va_end(count);                                          \
		argv = alloca((n + 1) * sizeof(char *));                \
		argv[0] = (char *)first;                                \
		for (size_t i = 1; i <= n; i++)                         \
			argv[i] = va_arg(args, char *);                 \
	} while (0)

HOOK int execl(const char *path, const char *arg, ...)
{
	va_list args;
	char **argv;

	va_start(args, arg);
	LISTED(argv, arg, args);
	va_end(args);
	return execve(path, argv, environ);
}

HOOK int execlp(const char *file, const char *arg, ...)
{
	va_list args;
	char **argv;

	va_start(args, arg);
	LISTED(argv, arg, args);
	va_end(args);
	return execvpe(file, argv, environ);
}

HOOK int execle(const char *path, const char *arg, ...)
{
	va_list args;
	char **argv, **envp;

	va_start(args, arg);
	LISTED(argv, arg, args);
	envp = va_arg(args, char **);
	va_end(args);
	return execve(path, argv, envp);
}

HOOK int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
		     char *const argv[], char *const envp[])
{
	return REAL(posix_spawn)(pid, path, actions, attributes, argv, WITH_OURS(envp));
}

HOOK int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
		      char *const argv[], char *const envp[])
{
	return REAL(posix_spawnp)(pid, file, actions, attributes, argv, WITH_OURS(envp));
}
