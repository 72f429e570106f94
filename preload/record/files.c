/*
 * Which descriptors are files of /dev/vfio. It is written down when a process has closed its last descriptor of a file, when one is
 * forked that has some, and when one ends that had any.
 */
#include "record.h"
#include <fcntl.h>
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
int owner;
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

bool any_open(void)
{
	bool any = false;

	for (int i = 0; i < FILES && !any; i++)
		any = files[i].kind != NONE;
	return any;
}

/* Bytes of one descriptor in what table_write writes, and of what is before the first. */
#define ENTRY 48

size_t table_size(void)
{
	size_t n = 1;

	for (int fd = 0; fd < FDS; fd++)
		n += of[fd] != 0;
	return n * ENTRY;
}

/* Writes out which descriptor is what, in a text of `size` bytes that table_read reads in the program after an exec. */
void table_write(char *text, size_t size)
{
	pthread_mutex_lock(&lock);
	size_t n = snprintf(text, size, "%d", count);

	for (int fd = 0; fd < FDS && n + ENTRY < size; fd++) {
		const struct file *file = of[fd] ? &files[of[fd] - 1] : NULL;

		if (file)
			n += sprintf(text + n, ",%d=%d/%d.%d", fd, file->kind, file->pid, file->number);
	}
	pthread_mutex_unlock(&lock);
}

/* The place of a file, which it is given where it has none yet. */
static int place_of(enum kind kind, int pid, int number)
{
	int free = -1;

	for (int i = FILES - 1; i >= 0; i--) {
		if (files[i].kind == NONE)
			free = i;
		else if (files[i].pid == pid && files[i].number == number)
			return i;
	}
	if (free >= 0)
		files[free] = (struct file){ kind, pid, number, 0 };
	return free;
}

/* Takes over what an exec has left open, and writes down what it has closed. */
void table_read(const char *text)
{
	int fd, kind, pid, number, n;

	if (sscanf(text, "%d%n", &count, &n) < 1)
		return;
	had = true;
	for (text += n; sscanf(text, ",%d=%d/%d.%d%n", &fd, &kind, &pid, &number, &n) == 4; text += n) {
		int place = fd >= 0 && fd < FDS ? place_of(kind, pid, number) : -1;

		if (place >= 0 && REAL(fcntl)(fd, F_GETFD) >= 0) {
			of[fd] = place + 1;
			files[place].fds++;
		}
	}
	for (int i = 0; i < FILES; i++) {
		if (files[i].kind == NONE || files[i].fds)
			continue;
		files[i].kind = NONE;
		line("{\"e\":\"close\",\"file\":\"%d.%d\"}", files[i].pid, files[i].number);
	}
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
