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
#include <stddef.h>
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
/*
 * What a library tells itself in the program after an exec: the variable, how many bytes it has at most, and what it says, which on_exec
 * and on_spawn write out; nothing: "".
 */
extern const char exec_tag[];
size_t exec_tag_size(void);
/* An exec is about to be made, of a file by this path where it is known; it may be that of a vfork's child. */
void on_exec(const char *path, char *tag);
/* It was not made; errno says why. */
void on_exec_failed(const char *tag);
/* A child is about to be made that is another program at once. */
void on_spawn(char *tag);
/* It is made, or where its pid is 0 it is not. */
void on_spawned(const char *tag, pid_t pid);
/* Whether the files of a child would be looked after. */
bool spawn_matters(void);
/* The process ends, and what it had open is closed. */
void files_exit(void);

/* environment.c */
const char *setting(const char *name);
const char *told_by_tag(void);
size_t size_with_ours(char *const *envp, const char *tag);
char **with_ours(char *const *envp, const char *tag, void *room);
#define WITH_OURS(envp, tag) with_ours(envp, tag, alloca(size_with_ours(envp, tag)))

#endif
