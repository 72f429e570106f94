/* The process of the service that this one is: made when it is first needed, forked from its parent's, and gone with it. */
#include "shim.h"

/* Names that are tried. */
#define TRIES 300

/* Whose tables these are: a child of vfork sees them and must not change them. */
pid_t own_pid;

static char process[ID_SIZE];
/* Whether it is this process's alone: the service is told of its forks, execs and exit. */
static bool is_own;
/* Number of the last name that this process made. */
static unsigned names;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The program's name as an id: what the kernel calls it in its log. */
static void name_of_program(char *name, size_t size)
{
	FILE *file = REAL(fopen)("/proc/self/comm", "re");
	size_t n = file ? fread(name, 1, size - 1, file) : 0;

	if (file)
		fclose(file);
	name[n] = 0;
	name[strcspn(name, "\n")] = 0;
	for (char *at = name; *at; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at += 'a' - 'A';
		else if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789._-", *at) || (at == name && strchr("._-", *at)))
			*at = 'x';
	}
	if (!*name)
		strcpy(name, "program");
}

/* The number of a process on this machine as a field with a comma before it, where the service reaches its memory. */
static const char *pid_field(char *json, size_t size, pid_t pid)
{
	*json = 0;
	if (kernel_has_real_memory())
		snprintf(json, size, ",\"pid\":%d", (int)pid);
	return json;
}

/*
 * Makes a process, named as the program is, with a number where there is one of that name; a child of `parent`, if given. `made_as`
 * (ID_SIZE bytes) takes its name.
 */
static bool make(const char *parent, pid_t pid_of_memory, char *made_as)
{
	char name[32], pid[32], path[160], body[160];
	int error = EEXIST;
	bool made = false;

	name_of_program(name, sizeof(name));
	pid_field(pid, sizeof(pid), pid_of_memory);
	strcpy(path, "/v1/processes");
	if (parent)
		snprintf(path, sizeof(path), "/v1/processes/%s/fork-process", parent);
	for (int i = 0; i < TRIES && !made && error == EEXIST; i++, names++) {
		struct reply reply;
		char number[16] = "";

		if (names > 0)
			snprintf(number, sizeof(number), "-%u", names + 1);
		snprintf(body, sizeof(body), "{\"%s\":\"%s%s\"%s}", parent ? "child" : "process", name, number, pid);
		http_call(&reply, "POST", path, body);
		made = reply.status < 300;
		if (made)
			json_string(json_get(reply.body, "process"), made_as, ID_SIZE);
		error = json_u64(json_get(reply.body, "errnoNumber"));
		reply_end(&reply);
	}
	return made;
}

/* The same, of this process. */
static bool make_own(const char *parent)
{
	if (!make(parent, own_pid, process))
		return false;
	child_known(own_pid, process);
	return true;
}

static void limit_memlock(void)
{
	const char *memlock = setting("VFIO_HOST_MEMLOCK");
	struct reply reply;
	char body[128], path[160];

	if (!memlock)
		return;
	snprintf(path, sizeof(path), "/v1/processes/%s/set-memlock", process);
	snprintf(body, sizeof(body), "{\"bytes\":%s}", memlock);
	http_call(&reply, "POST", path, body);
	if (settle(&reply))
		say("VFIO_HOST_MEMLOCK is \"%s\", but must be a number of bytes", memlock);
	reply_end(&reply);
}

static void begin(void)
{
	const char *given = setting("VFIO_HOST_PROCESS");

	if (given) {
		snprintf(process, sizeof(process), "%s", given);
		return;
	}
	is_own = make_own(NULL);
	if (is_own) {
		limit_memlock();
		return;
	}
	strcpy(process, "p0");
	say("the service makes no process for this program: its calls are p0's, and addresses are not checked");
}

/* The service's process that stands for this one. */
const char *current_process(void)
{
	pthread_mutex_lock(&lock);
	if (!*process)
		begin();
	pthread_mutex_unlock(&lock);
	return process;
}

bool process_is_own(void)
{
	return is_own;
}

/* Before a fork: the child's name is not tried by others of its parent. */
void process_count_child(void)
{
	names++;
}

/*
 * In a forked child: makes it a child of its parent's process in the service, where that is told; else it has no process until it
 * needs one. Returns whether it has.
 */
bool process_forked(bool tell)
{
	char parent[ID_SIZE];

	pthread_mutex_init(&lock, NULL);
	strcpy(parent, process);
	if (names > 0)
		names--;
	is_own = tell && make_own(parent);
	/* What it was told to be, all its children are. */
	if (!is_own && !setting("VFIO_HOST_PROCESS"))
		process[0] = 0;
	return is_own;
}

/*
 * A child that is another program at once (posix_spawn, or vfork and exec): makes it a child of this process in the service. `pid` is
 * whose memory it has so far, `child` (ID_SIZE bytes) takes its name.
 */
bool process_spawns(pid_t pid, char *child)
{
	return make(process, pid, child);
}

/* A process that the service knows has ended, of a signal where that is not 0: what it has open is closed as the kernel does it. */
void process_ended(const char *name, int signal)
{
	struct reply reply;
	char path[160], body[32] = "{}";

	if (signal)
		snprintf(body, sizeof(body), "{\"signal\":%d}", signal);
	snprintf(path, sizeof(path), "/v1/processes/%s/exit-process", name);
	http_call(&reply, "POST", path, body);
	reply_end(&reply);
}

/* This process ends. */
void process_exits(void)
{
	if (!is_own)
		return;
	is_own = false;
	child_ends(own_pid);
	process_ended(process, 0);
	process[0] = 0;
}

/* After an exec: the process goes on, with other memory. */
__attribute__((constructor(102))) static void process_after_exec(void)
{
	const char *tag = told_by_tag();
	struct reply reply;
	char path[160], pid[32], body[64];
	int pid_told, n = 0;

	own_pid = getpid();
	if (!tag || sscanf(tag, "%d:%n", &pid_told, &n) < 1 || !n || (pid_told && pid_told != own_pid))
		return;
	shim_start();
	if (!shim.on || (!pid_told && !child_is(tag + n)))
		return;
	snprintf(process, sizeof(process), "%s", tag + n);
	pid_field(pid, sizeof(pid), own_pid);
	snprintf(body, sizeof(body), "{%s}", *pid ? pid + 1 : "");
	snprintf(path, sizeof(path), "/v1/processes/%s/exec-process", process);
	http_call(&reply, "POST", path, body);
	is_own = reply.status < 300;
	reply_end(&reply);
	if (is_own)
		limit_memlock();
	else
		process[0] = 0;
}
