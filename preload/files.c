/*
 * Open files with the kernel's life time: they are closed with the last descriptor of them in any process, or with
 * the last mapping of their memory, however that goes: close, dup2, exec, exit, a message that carried it.
 *
 * The program's descriptor is a memfd. It holds a lock of flock(2), which belongs to the open file description
 * that duplicates, forked children, mappings and received descriptors share: as long as anything of it is left, nobody else
 * gets the lock. So each process keeps another open file of the memfd, the probe, and tries for the lock whenever it has
 * let one go. The first who gets it closes the file in the service.
 */
#include "shim.h"
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MAGIC 0x4f494656 /* VFIO */
/* Where struct shared lies in the memfd: behind all that a region's offset can name. */
#define SHARED_OFFSET (1ull << 46)
#define SHARED_SIZE 4096
#define NAME "vfio-host"

/* Descriptors, in tables of 1024: a program may have a million. */
#define TABLE 1024
#define TABLES 1024
static struct vfile **tables[TABLES];
static struct vfile *files;
static unsigned serials;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Whose tables these are: a child of vfork sees them and must not change them. */
static pid_t owner;

static struct vfile **slot(int fd, bool make)
{
	if (fd < 0 || fd >= TABLE * TABLES)
		return NULL;
	struct vfile ***table = &tables[fd / TABLE];

	if (!*table && make)
		*table = calloc(TABLE, sizeof(**table));
	return *table ? &(*table)[fd % TABLE] : NULL;
}

/* The file of a descriptor; with `lock` held. */
static struct vfile *file_of(int fd)
{
	struct vfile **at = slot(fd, false);

	return at ? *at : NULL;
}

/* Whether a descriptor is one of a container, a group or a device, and this process's to keep count of. */
bool fd_is_ours(int fd)
{
	return file_of(fd) != NULL && getpid() == owner;
}

/* Whether a descriptor is the shim's own, of which the program must not know. */
bool fd_is_internal(int fd)
{
	if (http_owns(fd))
		return true;
	pthread_mutex_lock(&lock);
	bool found = false;

	for (struct vfile *file = files; file && !found; file = file->next)
		found = file->probe == fd;
	pthread_mutex_unlock(&lock);
	return found;
}

/* The file of a descriptor for the time of a call; NULL where it is none of ours. */
struct vfile *file_get(int fd)
{
	if (!file_of(fd))
		return NULL;
	pthread_mutex_lock(&lock);
	struct vfile *file = file_of(fd);

	if (file)
		file->busy++;
	pthread_mutex_unlock(&lock);
	return file;
}

static void close_in_service(struct shared *shared)
{
	struct reply reply;
	char path[160];

	if (shared->kind == CONTAINER) {
		snprintf(path, sizeof(path), "/v1/containers/%s", shared->id);
		http_call(&reply, "DELETE", path, NULL);
	} else {
		snprintf(path, sizeof(path), "/v1/devices/%s/%s", shared->id,
			 shared->kind == GROUP ? "close-group" : "close-device");
		http_call(&reply, "POST", path, "{}");
	}
	if (settle(&reply))
		say("closing %s: %s", shared->id, strerror(errno));
	reply_end(&reply);
}

static void forget(struct vfile *file)
{
	for (struct vfile **at = &files; *at; at = &(*at)->next)
		if (*at == file) {
			*at = file->next;
			break;
		}
	for (int i = 0; i < IRQ_INDEXES; i++)
		for (int j = 0; j < IRQ_VECTORS; j++)
			if (file->irq[i][j] >= 0)
				REAL(close)(file->irq[i][j]);
	REAL(close)(file->probe);
	REAL(munmap)(file->shared, SHARED_SIZE);
	free(file);
}

/*
 * This process has no descriptor of a file any more: closes it where nobody else has one, and forgets it.
 *
 * Called with `lock` held, which is let go for the call to the service: another thread may use the shim meanwhile.
 * Returns whether it is forgotten.
 */
static bool release(struct vfile *file)
{
	if (file->fds > 0 || file->busy > 0)
		return false;
	if (flock(file->probe, LOCK_EX | LOCK_NB))
		return false; /* kept: by another process, or mapped here */
	file->busy++;
	if (!__atomic_exchange_n(&file->shared->released, 1, __ATOMIC_SEQ_CST)) {
		pthread_mutex_unlock(&lock);
		close_in_service(file->shared);
		pthread_mutex_lock(&lock);
	}
	forget(file);
	return true;
}

void file_put(struct vfile *file)
{
	pthread_mutex_lock(&lock);
	file->busy--;
	release(file);
	pthread_mutex_unlock(&lock);
}

/* A descriptor is about to be closed or replaced. Returns the file it was of. */
static struct vfile *detach(int fd)
{
	struct vfile **at = slot(fd, false), *file = at ? *at : NULL;

	if (!file)
		return NULL;
	*at = NULL;
	file->fds--;
	return file;
}

static void attach(int fd, struct vfile *file)
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
	pthread_mutex_lock(&lock);
	struct vfile *file = detach(fd);

	if (file) {
		REAL(close)(fd);
		release(file);
	}
	pthread_mutex_unlock(&lock);
}

/* `to` is a duplicate of `from` now, whatever it was before. */
void fd_copied(int from, int to)
{
	if (from == to)
		return;
	pthread_mutex_lock(&lock);
	struct vfile *before = detach(to), *file = file_of(from);

	if (file)
		attach(to, file);
	if (before)
		release(before);
	pthread_mutex_unlock(&lock);
}

/* Opens the memfd of a descriptor anew and maps what is shared; NULL where it is none of ours, or cannot be. */
static struct vfile *open_probe(int fd)
{
	char path[64];
	struct vfile *file;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	/* O_APPEND marks it: after an exec, that is how a probe is told from the program's own. */
	int probe = REAL(open)(path, O_RDWR | O_APPEND | O_CLOEXEC);

	if (probe < 0)
		return NULL;
	probe = move_high(probe);
	struct shared *shared = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, probe, SHARED_OFFSET);

	file = shared == MAP_FAILED ? NULL : calloc(1, sizeof(*file));
	if (!file) {
		if (shared != MAP_FAILED)
			REAL(munmap)(shared, SHARED_SIZE);
		REAL(close)(probe);
		return NULL;
	}
	file->shared = shared;
	file->probe = probe;
	memset(file->irq, -1, sizeof(file->irq));
	return file;
}

/*
 * The memfds' name: that of the run's folder, vfio-host-XXXXXX, so that whoever made it can tell in /proc who has files of
 * that run open.
 */
static const char *name_of_memfds(void)
{
	const char *folder = shim.root ? strrchr(shim.root, '/') : NULL;

	return folder && !strncmp(folder + 1, NAME "-", sizeof(NAME)) ? folder + 1 : NAME;
}

/*
 * Makes a descriptor of a file that was opened in the service.
 *
 * Returns it, or -1 and errno (EMFILE, ENFILE, ENOMEM); then nothing is open, here.
 */
int file_install(const struct shared *made, bool cloexec)
{
	int fd = memfd_create(name_of_memfds(), cloexec ? MFD_CLOEXEC : 0);

	if (fd < 0)
		return -1;
	struct shared start = *made;

	start.magic = MAGIC;
	if (ftruncate(fd, SHARED_OFFSET + SHARED_SIZE) ||
	    REAL(pwrite)(fd, &start, sizeof(start), SHARED_OFFSET) != sizeof(start) || flock(fd, LOCK_EX | LOCK_NB)) {
		REAL(close)(fd);
		return fails(ENOMEM);
	}
	struct vfile *file = open_probe(fd);

	if (!file) {
		REAL(close)(fd);
		return fails(EMFILE);
	}
	pthread_mutex_lock(&lock);
	file->shared->serial = ++serials;
	file->next = files;
	files = file;
	attach(fd, file);
	pthread_mutex_unlock(&lock);
	return fd;
}

/* Whether a descriptor is of a memfd of ours. */
static bool is_memfd_of_ours(int fd)
{
	static const char prefix[] = "/memfd:" NAME;
	char path[64], link[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = REAL(readlink)(path, link, sizeof(link) - 1);

	return n >= (ssize_t)sizeof(prefix) - 1 && !strncmp(link, prefix, sizeof(prefix) - 1);
}

static bool same_file(int a, int b)
{
	struct stat one, other;

	return !fstat(a, &one) && !fstat(b, &other) && one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

/* A descriptor has come from elsewhere (a message, the program before an exec): takes it for what it is. */
void fd_received(int fd)
{
	if (!is_memfd_of_ours(fd))
		return;
	pthread_mutex_lock(&lock);
	struct vfile *file = files;

	if (file_of(fd))
		goto out;
	while (file && !same_file(file->probe, fd))
		file = file->next;
	if (!file) {
		file = open_probe(fd);
		if (!file || file->shared->magic != MAGIC)
			goto out;
		file->next = files;
		files = file;
		if (file->shared->serial > serials)
			serials = file->shared->serial;
	}
	attach(fd, file);
out:
	pthread_mutex_unlock(&lock);
}

/* Memory was unmapped: it may have been the last of a file whose descriptors are closed. */
void files_unmapped(void)
{
	if (!files || getpid() != owner)
		return;
	pthread_mutex_lock(&lock);
	for (struct vfile *file = files; file;)
		file = release(file) ? files : file->next;
	pthread_mutex_unlock(&lock);
}

/* An exec closes descriptors that the kernel tells nobody of: the probes go along, and the program after it looks. */
static void probes_cloexec(bool on)
{
	pthread_mutex_lock(&lock);
	for (struct vfile *file = files; file; file = file->next)
		REAL(fcntl)(file->probe, F_SETFD, on ? FD_CLOEXEC : 0);
	pthread_mutex_unlock(&lock);
}

void files_before_exec(void)
{
	probes_cloexec(false);
}

void files_exec_failed(void)
{
	int kept = errno;

	probes_cloexec(true);
	errno = kept;
}

/* The descriptors of this process, in order; -1 behind the last. */
static int next_fd(DIR *folder)
{
	struct dirent *entry;

	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder))
			return atoi(entry->d_name);
	return -1;
}

/*
 * The constructor: after an exec, takes over what is still open, and closes what the exec closed. Those are the
 * probes that came through it without a descriptor beside them.
 */
__attribute__((constructor)) static void files_after_exec(void)
{
	static int probes[4096];
	int n = 0;
	DIR *folder = REAL(opendir)("/proc/self/fd");

	owner = getpid();
	if (!folder)
		return;
	for (int fd; (fd = next_fd(folder)) >= 0;) {
		if (!is_memfd_of_ours(fd))
			continue;
		if (REAL(fcntl)(fd, F_GETFL) & O_APPEND) {
			if (n < 4096)
				probes[n++] = fd;
			continue;
		}
		shim_start();
		fd_received(fd);
	}
	closedir(folder);
	for (int i = 0; i < n; i++) {
		bool known = false;

		for (struct vfile *file = files; file && !known; file = file->next)
			known = same_file(file->probe, probes[i]);
		if (!known) {
			shim_start();
			struct vfile *file = open_probe(probes[i]);

			if (file) {
				pthread_mutex_lock(&lock);
				file->next = files;
				files = file;
				release(file);
				pthread_mutex_unlock(&lock);
			}
		}
		REAL(close)(probes[i]);
	}
}

/* Takes the mappings of our memfds away, as an exit does before it closes files. */
static void unmap_all(void)
{
	char line[512];
	FILE *maps = REAL(fopen)("/proc/self/maps", "re");

	if (!maps)
		return;
	while (fgets(line, sizeof(line), maps)) {
		unsigned long long from, to, offset;

		if (!strstr(line, "/memfd:" NAME) || sscanf(line, "%llx-%llx %*s %llx", &from, &to, &offset) != 3)
			continue;
		if (offset != SHARED_OFFSET)
			REAL(munmap)((void *)(uintptr_t)from, to - from);
	}
	fclose(maps);
}

/* The process ends: closes what it has open, in the reverse order of opening. */
void files_exit(void)
{
	if (getpid() != owner)
		return;
	pthread_mutex_lock(&lock);
	if (files)
		unmap_all();
	for (int t = 0; t < TABLES; t++)
		for (int i = 0; tables[t] && i < TABLE; i++)
			if (tables[t][i]) {
				detach(t * TABLE + i);
				REAL(close)(t * TABLE + i);
			}
	for (;;) {
		struct vfile *last = NULL;

		for (struct vfile *file = files; file; file = file->next)
			if (!file->busy && (!last || file->shared->serial > last->shared->serial))
				last = file;
		if (!last)
			break;
		if (!release(last))
			forget(last); /* somebody else has it: that is their affair now */
	}
	pthread_mutex_unlock(&lock);
}

void files_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

/* What other threads had under way does not go on in a forked child. */
void files_after_fork(bool child)
{
	if (child)
		owner = getpid();
	for (struct vfile *file = files; child && file; file = file->next)
		file->busy = 0;
	pthread_mutex_unlock(&lock);
}

void file_memory_end(void *memory, size_t size)
{
	REAL(munmap)(memory, size);
}

/* The memory of a device, for the shim's own use: not a mapping that keeps the file open. NULL where it cannot be. */
void *file_memory(struct vfile *file, uint64_t offset, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file->probe, offset);

	return at == MAP_FAILED ? NULL : at;
}
