/*
 * Which descriptors are files of /dev/vfio. It is written down when a process has closed its last descriptor of a file, when one is
 * forked that has some, and when one ends that had any.
 */
#include "record.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FDS 65536
#define FILES 4096

struct file {
	enum kind kind;
	int pid, number, fds;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[FILES];
static uint16_t of[FDS]; /* place in files plus one; 0: another file */
static int count;
/* Whose table it is: a child of vfork sees it and must not change it. */
static int owner;
/* Whether this process has had a file. */
static bool had;

static void name_of(const struct file *file, char *name, size_t size)
{
	snprintf(name, size, "%d.%d", file->pid, file->number);
}

/* Notes a file that was opened, under its name. */
void opened(int fd, enum kind kind, char *name, size_t size)
{
	*name = 0;
	pthread_mutex_lock(&lock);
	for (int i = 0; fd < FDS && i < FILES; i++) {
		if (files[i].kind != NONE)
			continue;
		files[i] = (struct file){ kind, getpid(), ++count, 1 };
		of[fd] = i + 1;
		had = true;
		name_of(&files[i], name, size);
		break;
	}
	pthread_mutex_unlock(&lock);
}

/* What a descriptor is; NONE: a file that is not looked at. */
enum kind file_of(int fd, char *name, size_t size)
{
	enum kind kind = NONE;

	if (fd < 0 || fd >= FDS || !of[fd])
		return NONE;
	pthread_mutex_lock(&lock);
	if (of[fd]) {
		kind = files[of[fd] - 1].kind;
		name_of(&files[of[fd] - 1], name, size);
	}
	pthread_mutex_unlock(&lock);
	return kind;
}

bool fd_is_ours(int fd)
{
	return fd >= 0 && fd < FDS && of[fd] && getpid() == owner;
}

/* The recorder keeps no descriptor of its own. */
bool fd_is_internal(int fd)
{
	(void)fd;
	return false;
}

/* A descriptor goes. Before it is gone: the number may be somebody else's at once. */
static void leave(int fd)
{
	char name[32] = "";

	if (!fd_is_ours(fd))
		return;
	pthread_mutex_lock(&lock);
	struct file *file = of[fd] ? &files[of[fd] - 1] : NULL;

	of[fd] = 0;
	if (file && --file->fds == 0) {
		name_of(file, name, sizeof(name));
		file->kind = NONE;
	}
	pthread_mutex_unlock(&lock);
	if (*name)
		line("{\"e\":\"close\",\"file\":\"%s\"}", name);
}

void fd_closed(int fd)
{
	leave(fd);
	REAL(close)(fd);
}

void fd_copied(int from, int to)
{
	if (getpid() != owner || from == to || from < 0 || from >= FDS || to < 0 || to >= FDS)
		return;
	leave(to);
	pthread_mutex_lock(&lock);
	if (of[from]) {
		of[to] = of[from];
		files[of[from] - 1].fds++;
	}
	pthread_mutex_unlock(&lock);
}

static bool any_open(void)
{
	bool any = false;

	for (int i = 0; i < FILES && !any; i++)
		any = files[i].kind != NONE;
	return any;
}

static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&lock);
}

static void in_child(void)
{
	int parent = owner;

	owner = getpid();
	had = any_open();
	pthread_mutex_unlock(&lock);
	if (had)
		line("{\"e\":\"fork\",\"parent\":%d}", parent);
}

__attribute__((constructor)) static void begin(void)
{
	owner = getpid();
	pthread_atfork(before_fork, in_parent, in_child);
}

/* The process ends, and what it had open is closed. */
void files_exit(void)
{
	if (had && getpid() == owner)
		line("{\"e\":\"exit\"}");
	had = false;
}
