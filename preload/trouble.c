/* Answers of the service that are more than an errno, and what becomes of the program then. */
#include "shim.h"
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Exit code of a program whose call would never return. */
#define EXIT_WEDGED 70

/* A line on stderr, whole. */
void say(const char *format, ...)
{
	char line[2048];
	va_list args;
	int kept = errno, n = snprintf(line, sizeof(line), "vfio-host: ");

	va_start(args, format);
	n += vsnprintf(line + n, sizeof(line) - n - 1, format, args);
	va_end(args);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) != n) {
		/* There is nobody to tell. */
	}
	errno = kept;
}

static bool single_threaded(void)
{
	DIR *tasks = REAL(opendir)("/proc/self/task");
	int n = 0;

	if (!tasks)
		return true;
	for (struct dirent *entry; (entry = readdir(tasks));)
		n += entry->d_name[0] != '.';
	closedir(tasks);
	return n <= 1;
}

/*
 * The calling thread dies as after an oops: nothing of it is cleaned up, its locks stay held, other threads go on.
 * A program of one thread is one that SIGSEGV ended.
 */
static void __attribute__((noreturn)) oops(void)
{
	if (single_threaded()) {
		struct sigaction ends = { .sa_handler = SIG_DFL };
		struct rlimit none = { 0, 0 };
		sigset_t all;

		setrlimit(RLIMIT_CORE, &none);
		sigaction(SIGSEGV, &ends, NULL);
		sigfillset(&all);
		sigprocmask(SIG_UNBLOCK, &all, NULL);
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGSEGV);
	}
	for (;;)
		syscall(SYS_exit, 128 + SIGSEGV);
}

static void describe(const char *problem, char *out, size_t size)
{
	const char *splat = json_get(problem, "splat");
	char file[256], condition[256], function[128];

	json_string(json_get(splat, "file"), file, sizeof(file));
	json_string(json_get(splat, "condition"), condition, sizeof(condition));
	json_string(json_get(splat, "function"), function, sizeof(function));
	snprintf(out, size, "%s:%u, %s: %s", file, (unsigned)json_u64(json_get(splat, "line")), function, condition);
}

/* Who holds what in a deadlock, one line a task. */
static void say_tasks(const char *problem)
{
	const char *task = json_first(json_get(json_get(problem, "splat"), "tasks"));

	for (; task; task = json_next(task)) {
		char call[64], device[ID_SIZE], waits[128], held[128] = "nothing";

		json_string(json_get(task, "call"), call, sizeof(call));
		json_string(json_get(task, "device"), device, sizeof(device));
		json_string(json_get(task, "waitsFor"), waits, sizeof(waits));
		json_string(json_first(json_get(task, "holds")), held, sizeof(held));
		say("  %s%s%s holds %s and waits for %s", call, *device ? " of " : "", device, held, waits);
	}
}

/* The call would never return. */
static void __attribute__((noreturn)) wedged(const char *problem, const char *why)
{
	char call[64], detail[512];

	json_string(json_get(problem, "call"), call, sizeof(call));
	json_string(json_get(problem, "detail"), detail, sizeof(detail));
	say("%s never returns: %s", call, why);
	say("  %s", detail);
	say_tasks(problem);
	if (shim.hang)
		for (;;)
			pause();
	say("the program is ended, as nothing else would (--wedged hang lets it hang)");
	REAL(_exit)(EXIT_WEDGED);
}

static const char *slug(const char *problem, char *out, size_t size)
{
	json_string(json_get(problem, "type"), out, size);
	const char *at = strrchr(out, ':');

	return at ? at + 1 : out;
}

/*
 * Takes a reply for what the ioctl returns: 0, or -1 and errno. A BUG_ON kills the calling thread, a call that
 * would never return ends the program or hangs.
 */
int settle(struct reply *reply)
{
	char type[128], text[600];

	if (reply->status < 300)
		return 0;
	const char *what = slug(reply->body, type, sizeof(type));

	if (!strcmp(what, "kernel-bug")) {
		describe(reply->body, text, sizeof(text));
		say("kernel BUG at %s", text);
		say("  thread %d is dead, with all the locks it held", (int)syscall(SYS_gettid));
		reply_end(reply);
		oops();
	}
	if (!strcmp(what, "container-wedged")) {
		describe(reply->body, text, sizeof(text));
		char why[700];

		snprintf(why, sizeof(why), "the container's lock is held by a task that is dead or deadlocked (%s)", text);
		wedged(reply->body, why);
	}
	if (!strcmp(what, "deadlock"))
		wedged(reply->body, "it is part of a lock cycle");
	const char *number = json_get(reply->body, "errnoNumber");

	if (number)
		return fails(json_u64(number));
	json_string(json_get(reply->body, "detail"), text, sizeof(text));
	say("the service answers %d: %s", reply->status, text);
	return fails(reply->status == 404 ? ENODEV : reply->status == 429 || reply->status == 413 ? ENOMEM : EIO);
}
