/* The kernel that the service answers as. */
#include "shim.h"

static unsigned version; /* major << 16 | minor */
static bool real_memory, iommufd;

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

/* Whether the service reaches the memory of programs. */
bool kernel_has_real_memory(void)
{
	know();
	return real_memory;
}
