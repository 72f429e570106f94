/* What the environment said at the start, and what the program after an exec is told. */
#include "hooks.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The variables as they were at the start: a program may have another environment meanwhile. */
static const char *const NAMES[] = { "LD_PRELOAD",	"VFIO_HOST_URL",     "VFIO_HOST_RIG",	  "VFIO_HOST_ROOT",  "VFIO_HOST_RECORD",
				     "VFIO_HOST_WEDGED", "VFIO_HOST_MEMLOCK", "VFIO_HOST_PROCESS", "VFIO_HOST_TOKEN" };
#define COUNT (sizeof(NAMES) / sizeof(NAMES[0]))
static char *values[COUNT];
static char *tag_at_start;

static char *kept(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? strdup(value) : NULL;
}

__attribute__((constructor(101))) static void keep_environment(void)
{
	static bool done;

	for (size_t i = 0; !done && i < COUNT; i++)
		values[i] = kept(NAMES[i]);
	if (!done)
		tag_at_start = kept(exec_tag);
	done = true;
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

/* What whoever made this program told it by exec_tag; NULL: nothing. */
const char *told_by_tag(void)
{
	keep_environment();
	return tag_at_start;
}

static bool has(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; envp && *envp; envp++)
		if (!strncmp(*envp, name, n) && (*envp)[n] == '=')
			return true;
	return false;
}

static size_t length_of(char *const *envp)
{
	size_t n = 0;

	while (envp && envp[n])
		n++;
	return n;
}

/* Bytes that with_ours needs at most. */
size_t size_with_ours(char *const *envp, const char *tag)
{
	size_t size = (length_of(envp) + COUNT + 2) * sizeof(char *) + strlen(exec_tag) + strlen(tag) + 2;

	keep_environment();
	for (size_t i = 0; i < COUNT; i++)
		size += values[i] ? strlen(NAMES[i]) + strlen(values[i]) + 2 : 0;
	return size;
}

/* An environment with what a library needs, where a program made one without it, and with what it tells itself. */
char **with_ours(char *const *envp, const char *tag, void *room)
{
	char **out = room, *text = (char *)(out + length_of(envp) + COUNT + 2);
	size_t n = 0, length = strlen(exec_tag);

	for (char *const *at = envp; at && *at; at++)
		if (strncmp(*at, exec_tag, length) || (*at)[length] != '=')
			out[n++] = *at;
	for (size_t i = 0; i < COUNT; i++) {
		if (!values[i] || has(envp, NAMES[i]))
			continue;
		out[n++] = text;
		text += sprintf(text, "%s=%s", NAMES[i], values[i]) + 1;
	}
	if (*tag) {
		out[n++] = text;
		sprintf(text, "%s=%s", exec_tag, tag);
	}
	out[n] = NULL;
	return out;
}
