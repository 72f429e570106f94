/* Which descriptors are containers, groups and devices. */
#include "shim.h"

/* Descriptors, in tables of 1024: a program may have a million. */
#define TABLE 1024
#define TABLES 1024
static struct vfile **tables[TABLES];

struct vfile *files;
pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;

static struct vfile **slot(int fd, bool make)
{
	if (fd < 0 || fd >= TABLE * TABLES)
		return NULL;
	struct vfile ***table = &tables[fd / TABLE];

	if (!*table && make)
		*table = calloc(TABLE, sizeof(**table));
	return *table ? &(*table)[fd % TABLE] : NULL;
}

/* The file of a descriptor. */
struct vfile *file_of(int fd)
{
	struct vfile **at = slot(fd, false);

	return at ? *at : NULL;
}

/* The tables are this process's: a child of vfork sees them and must not change them. */
bool fd_is_ours(int fd)
{
	return file_of(fd) != NULL && getpid() == own_pid;
}

bool fd_is_internal(int fd)
{
	if (http_owns(fd))
		return true;
	if (!files)
		return false;
	pthread_mutex_lock(&files_lock);
	bool found = false;

	for (struct vfile *file = files; file && !found; file = file->next)
		found = file->probe == fd;
	pthread_mutex_unlock(&files_lock);
	return found;
}

/* The file of a descriptor for the time of a call; NULL where it is none of ours. */
struct vfile *file_get(int fd)
{
	if (!file_of(fd))
		return NULL;
	pthread_mutex_lock(&files_lock);
	struct vfile *file = file_of(fd);

	if (file)
		file->busy++;
	pthread_mutex_unlock(&files_lock);
	return file;
}

void file_put(struct vfile *file)
{
	pthread_mutex_lock(&files_lock);
	file->busy--;
	file_release(file);
	pthread_mutex_unlock(&files_lock);
}

/* A descriptor is about to be closed or replaced. Returns the file it was of. */
struct vfile *file_detach(int fd)
{
	struct vfile **at = slot(fd, false), *file = at ? *at : NULL;

	if (!file)
		return NULL;
	*at = NULL;
	file->fds--;
	return file;
}

void file_attach(int fd, struct vfile *file)
{
	struct vfile **at = slot(fd, true);

	if (!at)
		return;
	*at = file;
	file->fds++;
}

/* Closes a descriptor, and its file with the last one. */
void fd_closed(int fd)
{
	pthread_mutex_lock(&files_lock);
	struct vfile *file = file_detach(fd);

	if (file) {
		REAL(close)(fd);
		file_release(file);
	}
	pthread_mutex_unlock(&files_lock);
}

void fd_copied(int from, int to)
{
	if (from == to || !files || getpid() != own_pid)
		return;
	pthread_mutex_lock(&files_lock);
	struct vfile *before = file_detach(to), *file = file_of(from);

	if (file)
		file_attach(to, file);
	if (before)
		file_release(before);
	pthread_mutex_unlock(&files_lock);
}

/* Closes all descriptors, as an exit does; the files are not released yet. */
void files_close_all(void)
{
	for (int t = 0; t < TABLES; t++)
		for (int i = 0; tables[t] && i < TABLE; i++)
			if (tables[t][i]) {
				file_detach(t * TABLE + i);
				REAL(close)(t * TABLE + i);
			}
}
