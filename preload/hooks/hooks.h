/*
 * What both libraries stand in front of in the libc: descriptors that are opened, copied, closed and asked. Each says what becomes
 * of them.
 */
#ifndef VFIO_HOST_HOOKS_H
#define VFIO_HOST_HOOKS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <features.h>
/* From 2.38 on glibc has strtoul and sscanf under new names, which a library that is built there would ask an older one for. */
#undef __GLIBC_USE_C2X_STRTOL
#define __GLIBC_USE_C2X_STRTOL 0
#undef __GLIBC_USE_C23_STRTOL
#define __GLIBC_USE_C23_STRTOL 0
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Symbols are hidden unless they are the libc's that we stand in front of. */
#define HOOK __attribute__((visibility("default")))

/* The next library's function of a name (the libc's, mostly), looked up when it is first used: libraries open files before our
 * constructor. */
#define REAL(name)                                                                          \
	({                                                                                  \
		static void *at;                                                            \
		if (!at)                                                                    \
			at = real_symbol(#name);                                            \
		(__typeof__(&name))at;                                                      \
	})

void *real_symbol(const char *name);

/* Opens a file, as openat does. */
int on_open(int directory, const char *path, int flags, mode_t mode);
/* Makes an ioctl, as ioctl does. */
int on_ioctl(int fd, unsigned long request, uint64_t arg);
/* Whether somebody looks after a descriptor: it is closed with fd_closed. */
bool fd_is_ours(int fd);
/* Whether it is one of which the program must not know. */
bool fd_is_internal(int fd);
/* Closes a descriptor that is looked after. */
void fd_closed(int fd);
/* `to` is a duplicate of `from` now, whatever it was before. */
void fd_copied(int from, int to);
/* The process ends, and what it had open is closed. */
void files_exit(void);

#endif
