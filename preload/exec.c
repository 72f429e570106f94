/* exec: the program that comes takes over what stays open, and what the environment says of the service. */
#include "shim.h"
#include <alloca.h>

extern char **environ;

/* What the program after an exec needs of ours. */
static const char *const KEPT[] = { "LD_PRELOAD",	"VFIO_HOST_URL",     "VFIO_HOST_RIG",	  "VFIO_HOST_ROOT", "VFIO_HOST_RECORD",
				    "VFIO_HOST_WEDGED", "VFIO_HOST_MEMLOCK", "VFIO_HOST_PROCESS", "VFIO_HOST_TOKEN" };
#define KEPT_COUNT (sizeof(KEPT) / sizeof(KEPT[0]))

static bool has(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; envp && *envp; envp++)
		if (!strncmp(*envp, name, n) && (*envp)[n] == '=')
			return true;
	return false;
}

static size_t length_of(char *const *envp)
{
	size_t n = 0;

	while (envp && envp[n])
		n++;
	return n;
}

/* Bytes of a variable as the environment has it. */
static size_t size_of(const char *name)
{
	const char *value = setting(name);

	return value ? strlen(name) + strlen(value) + 2 : 0;
}

/* Bytes that with_ours needs at most. */
size_t size_with_ours(char *const *envp)
{
	size_t size = (length_of(envp) + KEPT_COUNT + 2) * sizeof(char *) + TAG_SIZE;

	for (size_t i = 0; i < KEPT_COUNT; i++)
		size += size_of(KEPT[i]);
	return size;
}

/* An environment with what the shim needs, where a program made one without it, and a tag of process_tag. */
char **with_ours(char *const *envp, const char *tag, void *room)
{
	char **out = room, *text = (char *)(out + length_of(envp) + KEPT_COUNT + 2);
	size_t n = 0;

	for (char *const *at = envp; at && *at; at++)
		if (strncmp(*at, TAG, strlen(TAG)))
			out[n++] = *at;
	for (size_t i = 0; i < KEPT_COUNT; i++) {
		if (!size_of(KEPT[i]) || has(envp, KEPT[i]))
			continue;
		out[n++] = text;
		text += sprintf(text, "%s=%s", KEPT[i], setting(KEPT[i])) + 1;
	}
	if (*tag)
		out[n++] = strcpy(text, tag);
	out[n] = NULL;
	return out;
}

/* A process on its way into another program. */
struct leaving {
	char tag[TAG_SIZE];
	char child[ID_SIZE]; /* after a vfork: its name in the service, where it is told; else "" */
};

/*
 * The child of a vfork has its parent's memory, our tables among it, and descriptors of its own. The service is told of it now: what
 * it has done since is no more than a program may do between the two.
 */
static void before_exec(struct leaving *l, const char *path)
{
	pid_t pid = getpid();

	*l->tag = *l->child = 0;
	if (pid == own_pid)
		process_tag(l->tag);
	else if (own_pid && (!path || REAL(access)(path, X_OK) == 0) && files_given(pid, l->child)) {
		process_tag_child(l->tag, pid, l->child);
		child_known(pid, l->child);
	}
	probes_cloexec(false);
}

static int exec_failed(const struct leaving *l)
{
	int kept = errno;

	probes_cloexec(true);
	if (*l->child) {
		child_ends(getpid());
		files_taken_back(l->child);
	}
	errno = kept;
	return -1;
}

HOOK int execve(const char *path, char *const argv[], char *const envp[])
{
	struct leaving l;

	before_exec(&l, path);
	REAL(execve)(path, argv, WITH_OURS(envp, l.tag));
	return exec_failed(&l);
}

HOOK int execvpe(const char *file, char *const argv[], char *const envp[])
{
	struct leaving l;

	before_exec(&l, NULL);
	REAL(execvpe)(file, argv, WITH_OURS(envp, l.tag));
	return exec_failed(&l);
}

HOOK int fexecve(int fd, char *const argv[], char *const envp[])
{
	struct leaving l;

	before_exec(&l, NULL);
	REAL(fexecve)(fd, argv, WITH_OURS(envp, l.tag));
	return exec_failed(&l);
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
