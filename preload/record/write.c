/* The file that is written, a line at a time, and the program's memory as it can be read without a signal. */
#include "record.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Appends a line, whole. The file is opened each time: a program may close descriptors that it does not know. */
static void append(int pid, const char *format, va_list args)
{
	static _Thread_local char text[16384];
	const char *path = setting("VFIO_HOST_RECORD");
	int kept = errno;

	if (!path)
		return;
	/* Each object begins with whose it is. */
	int n = snprintf(text, sizeof(text), "{\"pid\":%d,", pid);

	n += vsnprintf(text + n, sizeof(text) - 1 - n, format + 1, args);
	if (n > (int)sizeof(text) - 2)
		n = sizeof(text) - 2;
	text[n++] = '\n';
	int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0) {
		if (syscall(SYS_write, fd, text, n) != n) {
			/* There is nobody to tell. */
		}
		syscall(SYS_close, fd);
	}
	errno = kept;
}

void line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(getpid(), format, args);
	va_end(args);
}

/* The same, of another process than this one. */
void line_of(int pid, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append(pid, format, args);
	va_end(args);
}

/* Reads the program's memory; false where there is none. */
bool peek(void *to, uint64_t from, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)(uintptr_t)from, size };
	int kept = errno;
	ssize_t done = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

	errno = kept;
	return done == (ssize_t)size;
}
