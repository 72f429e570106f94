/* The libc's own functions, behind ours. */
#include "shim.h"
#include <dlfcn.h>

void *real_symbol(const char *name)
{
	void *at = dlsym(RTLD_NEXT, name);

	if (!at) {
		say("the C library has no %s", name);
		abort();
	}
	return at;
}
