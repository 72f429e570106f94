/*
 * Open files with the kernel's life time. Each process of the program is one of the service, which closes a file with the last of
 * them that has it. What is told here is that this process has no descriptor and no mapping of it any more.
 *
 * Others may have it that the service does not know: a message on its way, the child of a vfork, a program without this library. The
 * program's descriptor is a memfd. It holds a lock of flock(2), which belongs to the open file description that duplicates, forked
 * children, mappings and received descriptors share: as long as anything of it is left, nobody else gets the lock. Each process
 * keeps another open file of the memfd, the probe, and tries for the lock when it lets the file go. Where it is the last that
 * the service knows and does not get it, the file stays open in its name, and whoever gets the lock later closes it.
 */
#include "shim.h"
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define MAGIC 0x4f494656 /* VFIO */
/* Where struct shared lies in the memfd (SHARED_OFFSET): behind all that a region's offset can name. */
#define SHARED_SIZE 4096
#define NAME "vfio-host"

_Static_assert(sizeof(struct shared) <= SHARED_SIZE, "it is mapped as a whole");

static unsigned serials;

/* Closes a file of a process. */
void close_in_service(const struct shared *shared, const char *process)
{
	struct reply reply;
	char path[240], body[ID_SIZE + 16];

	if (shared->kind == CONTAINER) {
		snprintf(path, sizeof(path), "/v1/containers/%s?process=%s", shared->id, process);
		http_call(&reply, "DELETE", path, NULL);
	} else {
		snprintf(path, sizeof(path), "/v1/devices/%s/%s", shared->id,
			 shared->kind == GROUP ? "close-group" : "close-device");
		snprintf(body, sizeof(body), "{\"process\":\"%s\"}", process);
		http_call(&reply, "POST", path, body);
	}
	if (settle(&reply))
		say("closing %s: %s", shared->id, strerror(errno));
	reply_end(&reply);
}

void file_forget(struct vfile *file)
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

/* Whether this process has memory of a device mapped. */
static bool is_mapped(const struct vfile *file)
{
	char line[512];
	struct stat st;
	bool found = false;

	if (file->shared->kind != DEVICE || fstat(file->probe, &st))
		return false;
	FILE *maps = REAL(fopen)("/proc/self/maps", "re");

	while (maps && !found && fgets(line, sizeof(line), maps)) {
		unsigned long long offset, inode;

		found = strstr(line, MEMFD) && sscanf(line, "%*s %*s %llx %*s %llu", &offset, &inode) == 2 &&
			inode == st.st_ino && offset != SHARED_OFFSET;
	}
	if (maps)
		fclose(maps);
	return found;
}

static bool nobody_else_has(const struct vfile *file)
{
	return flock(file->probe, LOCK_EX | LOCK_NB) == 0;
}

/* The service knows that a process has a file. */
void file_given(struct shared *shared, const char *process)
{
	__atomic_add_fetch(&shared->holders, 1, __ATOMIC_SEQ_CST);
	for (struct holder *h = shared->holder; h < shared->holder + HOLDERS; h++) {
		uint32_t unused = 0;

		if (!__atomic_compare_exchange_n(&h->state, &unused, 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			continue;
		snprintf(h->name, ID_SIZE, "%s", process);
		__atomic_store_n(&h->state, 2, __ATOMIC_SEQ_CST);
		break;
	}
}

/* The service knows that this process has a file. */
void file_take(struct vfile *file, const char *process)
{
	snprintf(file->holder, ID_SIZE, "%s", process);
	file_given(file->shared, process);
}

static struct holder *find_holder(const struct shared *shared, const char *process)
{
	for (const struct holder *h = shared->holder; h < shared->holder + HOLDERS; h++)
		if (h->state == 2 && (!process || !strcmp(h->name, process)))
			return (struct holder *)h;
	return NULL;
}

bool file_has(const struct shared *shared, const char *process)
{
	return find_holder(shared, process) != NULL;
}

/* A process has a file no more. Returns whether it was the last that the service knows. */
bool file_drop(struct shared *shared, const char *process)
{
	struct holder *h = find_holder(shared, process);

	if (h)
		__atomic_store_n(&h->state, 0, __ATOMIC_SEQ_CST);
	return __atomic_sub_fetch(&shared->holders, 1, __ATOMIC_SEQ_CST) == 0;
}

/* In whose name this process uses a file: its own, or that of one who has it. */
const char *file_holder(const struct vfile *file)
{
	const struct holder *other = *file->holder ? NULL : find_holder(file->shared, NULL);

	return *file->holder ? file->holder : other ? other->name : file->shared->opener;
}

/* Whether others have a file of which the service knows this process alone; where this process has no descriptor any more. */
bool file_is_left(struct vfile *file)
{
	return *file->holder && file->shared->holders == 1 && !nobody_else_has(file);
}

/* In whose name a file is closed now that this process lets it go, into `name`; false where it stays open. */
static bool ends_for(struct vfile *file, char *name)
{
	snprintf(name, ID_SIZE, "%s", file_holder(file));
	if (!*file->holder)
		return nobody_else_has(file) && !__atomic_exchange_n(&file->shared->released, 1, __ATOMIC_SEQ_CST);
	if (file_is_left(file))
		return false;
	file_drop(file->shared, name);
	return true;
}

/*
 * Where this process has nothing of a file any more it lets it go, and forgets it.
 *
 * files_lock is let go for the call to the service: another thread may use the shim meanwhile. Returns whether it is forgotten.
 */
bool file_release(struct vfile *file)
{
	char name[ID_SIZE];

	if (file->fds > 0 || file->busy > 0 || is_mapped(file))
		return false;
	file->busy++;
	if (ends_for(file, name)) {
		pthread_mutex_unlock(&files_lock);
		close_in_service(file->shared, name);
		pthread_mutex_lock(&files_lock);
	}
	file_forget(file);
	return true;
}

/* Opens the memfd of a descriptor anew and maps what is shared; NULL where it is none of ours, or cannot be. */
struct vfile *file_open_probe(int fd)
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
	if (file && shared->magic == MAGIC) {
		file->shared = shared;
		file->probe = probe;
		memset(file->irq, -1, sizeof(file->irq));
		if (shared->serial > serials)
			serials = shared->serial;
		return file;
	}
	free(file);
	if (shared != MAP_FAILED)
		REAL(munmap)(shared, SHARED_SIZE);
	REAL(close)(probe);
	return NULL;
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
 * Makes a descriptor of a file that this process has opened in the service.
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
	snprintf(start.opener, ID_SIZE, "%s", current_process());
	if (ftruncate(fd, SHARED_OFFSET + SHARED_SIZE) ||
	    REAL(pwrite)(fd, &start, sizeof(start), SHARED_OFFSET) != sizeof(start) || flock(fd, LOCK_EX | LOCK_NB)) {
		REAL(close)(fd);
		return fails(ENOMEM);
	}
	struct vfile *file = file_open_probe(fd);

	if (!file) {
		REAL(close)(fd);
		return fails(EMFILE);
	}
	pthread_mutex_lock(&files_lock);
	file_take(file, start.opener);
	file->shared->serial = ++serials;
	file->next = files;
	files = file;
	file_attach(fd, file);
	pthread_mutex_unlock(&files_lock);
	return fd;
}

/* Whether a descriptor is of a memfd of ours. */
bool is_memfd_of_ours(int fd)
{
	char path[64], link[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = REAL(readlink)(path, link, sizeof(link) - 1);

	return n >= (ssize_t)sizeof(MEMFD) - 1 && !strncmp(link, MEMFD, sizeof(MEMFD) - 1);
}

bool file_is_same(int a, int b)
{
	struct stat one, other;

	return !fstat(a, &one) && !fstat(b, &other) && one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

/* Memory was unmapped: it may have been the last of a file whose descriptors are closed. */
void files_unmapped(void)
{
	if (!files || getpid() != own_pid)
		return;
	pthread_mutex_lock(&files_lock);
	for (struct vfile *file = files; file;)
		file = file_release(file) ? files : file->next;
	pthread_mutex_unlock(&files_lock);
}

/* Who makes a call, as a field of its arguments with a comma before it; nothing where that is who opened the file. */
const char *actor_of(const struct vfile *file, char *json)
{
	const char *holder = file_holder(file);

	*json = 0;
	if (strcmp(holder, file->shared->opener))
		snprintf(json, ACTOR_SIZE, ",\"process\":\"%s\"", holder);
	return json;
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
