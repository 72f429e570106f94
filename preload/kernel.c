/* The kernel that the service answers as, and the process of the service that this one is. */
#include "shim.h"

#define PROCESS_VARIABLE "VFIO_HOST_PROCESS_PID"

static unsigned version; /* major << 16 | minor */
static bool real_memory, iommufd;
static char process[ID_SIZE];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void ask(void)
{
	struct reply reply;
	char text[64];
	unsigned major = 6, minor = 1;

	http_call(&reply, "GET", "/v1", NULL);
	json_string(json_get(reply.body, "kernel"), text, sizeof(text));
	sscanf(text, "%u.%u", &major, &minor);
	version = major << 16 | minor;
	iommufd = strstr(text, "-iommufd") != NULL;
	real_memory = json_is(json_get(reply.body, "processMemory"), "\"real\"");
	reply_end(&reply);
}

static void know(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, ask);
}

/* Whether the kernel is of this release or a later one. */
bool kernel_at_least(unsigned major, unsigned minor)
{
	know();
	return version >= (major << 16 | minor);
}

/* Whether containers are iommufd's (vfio_compat), not the classic ones with type1. */
bool kernel_has_iommufd_containers(void)
{
	know();
	return iommufd;
}

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
}

/* A process with this one's memory, called as the program is, with a number where there is one of that name. */
static bool create_process(void)
{
	char name[32], body[160];
	bool made = false;
	int error = 0;

	name_of_program(name, sizeof(name));
	if (!*name)
		strcpy(name, "program");
	for (int i = 1; i < 100 && !made && (i == 1 || error == EEXIST); i++) {
		struct reply reply;
		char number[16] = "";

		if (i > 1)
			snprintf(number, sizeof(number), "-%d", i);
		snprintf(body, sizeof(body), "{\"process\":\"%s%s\",\"pid\":%d}", name, number, (int)getpid());
		http_call(&reply, "POST", "/v1/processes", body);
		made = reply.status < 300;
		if (made)
			json_string(json_get(reply.body, "process"), process, sizeof(process));
		error = json_u64(json_get(reply.body, "errnoNumber"));
		reply_end(&reply);
	}
	return made;
}

/* A process that a service with real memory makes of us; p0 where it has none. */
static void make_process(void)
{
	const char *memlock = getenv("VFIO_HOST_MEMLOCK"), *given = getenv("VFIO_HOST_PROCESS");
	struct reply reply;
	char body[128], path[160];

	if (given && *given) {
		snprintf(process, sizeof(process), "%s", given);
		return;
	}
	strcpy(process, "p0");
	if (!real_memory)
		return;
	if (!create_process())
		say("the service cannot reach this program's memory: addresses are not checked");
	if (!memlock || !*memlock)
		return;
	snprintf(path, sizeof(path), "/v1/processes/%s/set-memlock", process);
	snprintf(body, sizeof(body), "{\"bytes\":%s}", memlock);
	http_call(&reply, "POST", path, body);
	if (settle(&reply))
		say("VFIO_HOST_MEMLOCK is \"%s\", but must be a number of bytes", memlock);
	reply_end(&reply);
}

/* The service's process that stands for this one; made when it is first needed. */
const char *current_process(void)
{
	know();
	pthread_mutex_lock(&lock);
	if (!*process)
		make_process();
	pthread_mutex_unlock(&lock);
	return process;
}

/* A forked child is a process of its own, with memory of its own. */
void process_after_fork(void)
{
	pthread_mutex_init(&lock, NULL);
	process[0] = 0;
}
