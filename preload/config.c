/* What the environment says. The names are the shim's own: whoever starts the program sets them. */
#include "shim.h"

struct shim shim;

/* The variables as they were at the start: a program may have another environment meanwhile. */
static const char *const NAMES[] = { "LD_PRELOAD",	"VFIO_HOST_URL",     "VFIO_HOST_RIG",	  "VFIO_HOST_ROOT",  "VFIO_HOST_RECORD",
				     "VFIO_HOST_WEDGED", "VFIO_HOST_MEMLOCK", "VFIO_HOST_PROCESS", "VFIO_HOST_TOKEN", "VFIO_HOST_PROCESS_PID" };
#define COUNT (sizeof(NAMES) / sizeof(NAMES[0]))
static char *values[COUNT];

__attribute__((constructor(101))) static void keep_environment(void)
{
	static bool kept;

	for (size_t i = 0; !kept && i < COUNT; i++) {
		const char *value = getenv(NAMES[i]);

		values[i] = value && *value ? strdup(value) : NULL;
	}
	kept = true;
}

/* What a variable of ours said at the start; NULL where it said nothing. */
const char *setting(const char *name)
{
	keep_environment();
	for (size_t i = 0; i < COUNT; i++)
		if (!strcmp(NAMES[i], name))
			return values[i];
	return NULL;
}

static void start(void)
{
	const char *url = setting("VFIO_HOST_URL"), *wedged = setting("VFIO_HOST_WEDGED");

	shim.root = setting("VFIO_HOST_ROOT");
	shim.rig = setting("VFIO_HOST_RIG");
	shim.hang = wedged && !strcmp(wedged, "hang");
	if (!shim.rig)
		shim.rig = "";
	if (!url) {
		say("VFIO_HOST_URL is not set: /dev/vfio is this machine's own");
		return;
	}
	if (!http_configure(url, shim.rig)) {
		say("VFIO_HOST_URL is \"%s\", but must be unix:PATH or http://HOST:PORT", url);
		REAL(_exit)(64);
	}
	shim.on = true;
}

/* The same, where nothing is to be said of an environment that says nothing. */
void shim_start_quietly(void)
{
	if (setting("VFIO_HOST_URL"))
		shim_start();
}

/* Reads the environment, once; whoever needs it calls this first, as other libraries' constructors come before ours. */
void shim_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, start);
}
