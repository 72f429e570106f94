/* What becomes of open files at fork, exec and exit, and of those that come in a message. */
#include "shim.h"
#include <sys/mman.h>

/*
 * A descriptor has come from elsewhere (a message, a vfork, the program before an exec): takes it for what it is. Unless it was this
 * process's before an exec it is used in the name of one who has it.
 */
void fd_received(int fd)
{
	if (!is_memfd_of_ours(fd))
		return;
	pthread_mutex_lock(&files_lock);
	struct vfile *file = files;

	while (file && !file_is_same(file->probe, fd))
		file = file->next;
	if (!file_of(fd) && !file && (file = file_open_probe(fd))) {
		/* It was left in this process's name when it let it go. */
		if (process_is_own() && file_has(file->shared, current_process()))
			strcpy(file->holder, current_process());
		file->next = files;
		files = file;
	}
	if (!file_of(fd) && file)
		file_attach(fd, file);
	pthread_mutex_unlock(&files_lock);
}

/* An exec closes descriptors that the kernel tells nobody of: the probes of this process's files go along, and the program after it looks. */
void probes_cloexec(bool on)
{
	pthread_mutex_lock(&files_lock);
	for (struct vfile *file = files; file; file = file->next)
		if (*file->holder)
			REAL(fcntl)(file->probe, F_SETFD, on ? FD_CLOEXEC : 0);
	pthread_mutex_unlock(&files_lock);
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

/* Takes over a probe that came through an exec: without a descriptor beside it, the exec has closed its file. */
static void take_probe(int fd)
{
	struct vfile *file = files;

	pthread_mutex_lock(&files_lock);
	while (file && !file_is_same(file->probe, fd))
		file = file->next;
	if (!file && (file = file_open_probe(fd))) {
		file->next = files;
		files = file;
	}
	if (file && process_is_own() && file_has(file->shared, current_process()))
		strcpy(file->holder, current_process());
	if (file)
		file_release(file);
	pthread_mutex_unlock(&files_lock);
	REAL(close)(fd);
}

/* A file as the service shows it among those of a process. */
static bool named(const char *file, struct shared *found)
{
	char group[ID_SIZE];

	memset(found, 0, sizeof(*found));
	if (json_string(json_get(file, "container"), found->id, ID_SIZE))
		found->kind = CONTAINER;
	else if (json_string(json_get(file, "device"), found->id, ID_SIZE))
		found->kind = DEVICE;
	else if (json_string(json_get(file, "group"), group, ID_SIZE) && device_of_group(atoi(group + 1), found))
		found->kind = GROUP;
	return found->kind != 0;
}

/* Whether this process has it. */
static bool has(const struct shared *wanted)
{
	for (struct vfile *file = files; file; file = file->next) {
		if (file->shared->kind != wanted->kind)
			continue;
		if (wanted->kind == GROUP ? file->shared->group == wanted->group : !strcmp(file->shared->id, wanted->id))
			return true;
	}
	return false;
}

/* After an exec: closes what it has by the service alone, where somebody closed even the probes, as a file action does. */
static void close_unseen(void)
{
	struct shared found;
	struct reply reply;
	char path[160];

	if (!process_is_own())
		return;
	snprintf(path, sizeof(path), "/v1/processes/%s", current_process());
	http_call(&reply, "GET", path, NULL);
	for (const char *at = json_first(json_get(reply.body, "files")); at; at = json_next(at))
		if (named(at, &found) && !has(&found))
			close_in_service(&found, current_process());
	reply_end(&reply);
}

/* The constructor: after an exec, takes over what is still open, and closes what the exec closed. */
__attribute__((constructor)) static void files_after_exec(void)
{
	static int probes[4096];
	int n = 0;
	DIR *folder = REAL(opendir)("/proc/self/fd");

	own_pid = getpid();
	if (!folder)
		return;
	for (int fd; (fd = next_fd(folder)) >= 0;) {
		if (!is_memfd_of_ours(fd))
			continue;
		shim_start();
		if (!(REAL(fcntl)(fd, F_GETFL) & O_APPEND))
			fd_received(fd);
		else if (n < 4096)
			probes[n++] = fd;
	}
	closedir(folder);
	for (int i = 0; i < n; i++)
		take_probe(probes[i]);
	close_unseen();
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

		if (!strstr(line, MEMFD) || sscanf(line, "%llx-%llx %*s %llx", &from, &to, &offset) != 3)
			continue;
		if (offset != SHARED_OFFSET)
			REAL(munmap)((void *)(uintptr_t)from, to - from);
	}
	fclose(maps);
}

/* The file that was opened last, of those that no call is under way on. */
static struct vfile *newest(void)
{
	struct vfile *last = NULL;

	for (struct vfile *file = files; file; file = file->next)
		if (!file->busy && (!last || file->shared->serial > last->shared->serial))
			last = file;
	return last;
}

/*
 * The process ends. The service closes what it has open, in the kernel's order; but where somebody has a file that the service
 * knows of this process alone, it goes on there, and its other files are closed one by one.
 */
void files_exit(void)
{
	bool left = false;

	if (getpid() != own_pid)
		return;
	pthread_mutex_lock(&files_lock);
	if (files)
		unmap_all();
	files_close_all();
	for (struct vfile *file = files; file; file = file->next)
		left |= file_is_left(file);
	for (struct vfile *file; (file = newest());) {
		if (!left && process_is_own() && *file->holder) {
			file_drop(file->shared, file->holder);
			file_forget(file);
		} else if (!file_release(file)) {
			file_forget(file);
		}
	}
	pthread_mutex_unlock(&files_lock);
	if (!left)
		process_exits();
}

/* Whether a forked child has files that the service knows. */
bool files_known_to_service(void)
{
	for (struct vfile *file = files; file; file = file->next)
		if (*file->holder)
			return process_is_own();
	return false;
}

/*
 * In a forked child: what other threads had under way does not go on, and what was its parent's is the child's own as well, where
 * the service knows it.
 */
void files_in_child(bool known)
{
	for (struct vfile *file = files; file; file = file->next) {
		file->busy = 0;
		if (*file->holder && known)
			file_take(file, current_process());
		else
			file->holder[0] = 0;
	}
}

/*
 * A child has what this process has, and is another program at once; its name into `child` (ID_SIZE bytes). `pid`: whose memory it
 * has so far. false where this process has nothing that the service knows, or where nobody would tell the service of the end of a
 * program without this library: then the child uses its files in this process's name, which has them until the child lets them go.
 */
bool files_given(pid_t pid, char *child)
{
	pthread_mutex_lock(&files_lock);
	bool known = files_known_to_service() && child_ends_are_seen() && process_spawns(pid, child);

	for (struct vfile *file = files; known && file; file = file->next)
		if (*file->holder)
			file_given(file->shared, child);
	pthread_mutex_unlock(&files_lock);
	return known;
}

/* It has not become one. */
void files_taken_back(const char *child)
{
	process_ended(child, 0);
	files_killed(child);
}

/* A process that had files was killed, and the service has closed them. */
void files_killed(const char *process)
{
	pthread_mutex_lock(&files_lock);
	for (struct vfile *file = files; file; file = file->next)
		if (file_has(file->shared, process))
			file_drop(file->shared, process);
	pthread_mutex_unlock(&files_lock);
}
