/*
 * libvfio-host-record.so: preloaded into an unmodified program, it writes down what the program asks of this machine's
 * /dev/vfio and what the kernel answers, a JSON object a line. It changes nothing of either.
 */
#ifndef VFIO_HOST_RECORD_H
#define VFIO_HOST_RECORD_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <features.h>
#undef __GLIBC_USE_C2X_STRTOL
#define __GLIBC_USE_C2X_STRTOL 0
#undef __GLIBC_USE_C23_STRTOL
#define __GLIBC_USE_C23_STRTOL 0
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Symbols are hidden unless they are the libc's that we stand in front of. */
#define HOOK __attribute__((visibility("default")))

/* The next library's function of a name, which may be the libc's. */
#define NEXT(name)                                  \
	({                                          \
		static void *at;                    \
		if (!at)                            \
			at = next_symbol(#name);    \
		(__typeof__(&name))at;              \
	})

enum kind { NONE, CONTAINER, GROUP, DEVICE };

/* write.c: what is written down */
void *next_symbol(const char *name);
void line(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool peek(void *to, uint64_t from, size_t size);

/* files.c: which descriptor is which open file; a name is "PID.N" */
void opened(int fd, enum kind kind, char *name, size_t size);
enum kind file_of(int fd, char *name, size_t size);
void copied_fd(int from, int to);
void closed_fd(int fd);

/* ioctls.c */
int recorded_ioctl(enum kind kind, const char *name, int fd, unsigned long request, uint64_t arg);

#endif
