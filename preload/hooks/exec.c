/* exec by all the names that it has: the program that comes is told what stays open. */
#include "hooks.h"
#include <alloca.h>
#include <stdarg.h>
#include <unistd.h>

extern char **environ;

HOOK int execve(const char *path, char *const argv[], char *const envp[])
{
	char *tag = alloca(exec_tag_size());

	on_exec(path, tag);
	REAL(execve)(path, argv, WITH_OURS(envp, tag));
	on_exec_failed(tag);
	return -1;
}

HOOK int execvpe(const char *file, char *const argv[], char *const envp[])
{
	char *tag = alloca(exec_tag_size());

	on_exec(NULL, tag);
	REAL(execvpe)(file, argv, WITH_OURS(envp, tag));
	on_exec_failed(tag);
	return -1;
}

HOOK int fexecve(int fd, char *const argv[], char *const envp[])
{
	char *tag = alloca(exec_tag_size());

	on_exec(NULL, tag);
	REAL(fexecve)(fd, argv, WITH_OURS(envp, tag));
	on_exec_failed(tag);
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
