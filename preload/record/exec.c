/* exec, and children that are another program at once: the program that comes has what stays open. */
#include "record.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char exec_tag[] = "VFIO_HOST_RECORD_FILES";

#define HEAD 48

size_t exec_tag_size(void)
{
	return table_size() + HEAD;
}

/* Whose it is: `pid`, or a child of `parent` whose pid is not known yet; and what it is called until then, or 0. */
static void write_tag(char *tag, int pid, int parent, int called)
{
	int n = sprintf(tag, "%d:%d:%d:", pid, parent, called);

	table_write(tag + n, exec_tag_size() - n);
}

/* The child of a vfork has our tables, and descriptors of its own: to the kernel it is a child as any other. */
void on_exec(const char *path, char *tag)
{
	int pid = getpid();

	*tag = 0;
	if (!any_open() || (pid != owner && path && access(path, X_OK)))
		return;
	if (pid != owner)
		line("{\"e\":\"fork\",\"parent\":%d}", owner);
	write_tag(tag, pid, 0, 0);
}

void on_exec_failed(const char *tag)
{
	if (*tag && getpid() != owner)
		line("{\"e\":\"exit\"}");
}

/* The child of a posix_spawn is called by a number that is no pid, until it says its own. */
void on_spawn(char *tag)
{
	static int spawned;

	*tag = 0;
	if (getpid() != owner || !any_open())
		return;
	int called = -(owner * 100 + __atomic_fetch_add(&spawned, 1, __ATOMIC_RELAXED) % 100);

	line_of(called, "{\"e\":\"fork\",\"parent\":%d}", owner);
	write_tag(tag, 0, owner, called);
}

void on_spawned(const char *tag, pid_t pid)
{
	int called;

	if (*tag && !pid && sscanf(tag, "%*d:%*d:%d", &called) == 1)
		line_of(called, "{\"e\":\"exit\"}");
}

bool spawn_matters(void)
{
	return getpid() == owner && any_open();
}

/* The constructor: this is the program after an exec. */
__attribute__((constructor)) static void after_exec(void)
{
	const char *tag = told_by_tag();
	int pid, parent, called, n = 0;

	owner = getpid();
	if (!tag || sscanf(tag, "%d:%d:%d:%n", &pid, &parent, &called, &n) < 3 || !n)
		return;
	if (pid ? pid != owner : parent != getppid())
		return;
	if (called)
		line("{\"e\":\"spawned\",\"as\":%d}", called);
	line("{\"e\":\"exec\"}");
	table_read(tag + n);
}
