/* What the environment says. The names are the shim's own: whoever starts the program sets them. */
#include "shim.h"

struct shim shim;

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
