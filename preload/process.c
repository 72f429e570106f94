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

/* The process's number on this machine as a field with a comma before it, where the service reaches its memory. */
static const char *pid_field(char *json, size_t size)
{
	*json = 0;
	if (kernel_has_real_memory())
		snprintf(json, size, ",\"pid\":%d", (int)getpid());
	return json;
}

/* Makes a process, named as the program is, with a number where there is one of that name; a child of `parent`, if given. */
static bool make(const char *parent)
{
	char name[32], pid[32], path[160], body[160];
	int error = EEXIST;
	bool made = false;

	name_of_program(name, sizeof(name));
	pid_field(pid, sizeof(pid));
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
			json_string(json_get(reply.body, "process"), process, sizeof(process));
		error = json_u64(json_get(reply.body, "errnoNumber"));
		reply_end(&reply);
	}
	if (made)
		child_known(process);
	return made;
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
	is_own = make(NULL);
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
	is_own = tell && make(parent);
	/* What it was told to be, all its children are. */
	if (!is_own && !setting("VFIO_HOST_PROCESS"))
		process[0] = 0;
	return is_own;
}

/* The process ends: what it has open is closed as the kernel does it. */
void process_exits(void)
{
	struct reply reply;
	char path[160];

	if (!is_own)
		return;
	snprintf(path, sizeof(path), "/v1/processes/%s/exit-process", process);
	is_own = false;
	child_ends();
	http_call(&reply, "POST", path, "{}");
	settle(&reply);
	reply_end(&reply);
	process[0] = 0;
}

/* What the program after an exec is told of the process that it is in the service; false where it is none. */
bool process_tag(char *tag)
{
	if (!is_own)
		return false;
	snprintf(tag, TAG_SIZE, "VFIO_HOST_PROCESS_PID=%d:%s", (int)own_pid, process);
	return true;
}

/* After an exec: the process goes on, with other memory. */
__attribute__((constructor(102))) static void process_after_exec(void)
{
	const char *tag = setting("VFIO_HOST_PROCESS_PID");
	struct reply reply;
	char path[160], pid[32], body[64];
	int n = 0;

	own_pid = getpid();
	if (!tag || atoi(tag) != own_pid || sscanf(tag, "%*d:%n", &n) < 0 || !n)
		return;
	shim_start();
	if (!shim.on)
		return;
	snprintf(process, sizeof(process), "%s", tag + n);
	pid_field(pid, sizeof(pid));
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
