/*
 * libvfio-host-record.so: preloaded into an unmodified program, it writes down what the program asks of this machine's
 * /dev/vfio and what the kernel answers, a JSON object a line. It changes nothing of either.
 */
#ifndef VFIO_HOST_RECORD_H
#define VFIO_HOST_RECORD_H

#include "../hooks/hooks.h"
#include <stddef.h>

enum kind { NONE, CONTAINER, GROUP, DEVICE };

/* write.c: what is written down */
void line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void line_of(int pid, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool peek(void *to, uint64_t from, size_t size);

/* files.c: which descriptor is which open file; a name is "PID.N" */
extern int owner;
bool any_open(void);
size_t table_size(void);
void table_write(char *text, size_t size);
void table_read(const char *text);
void opened(int fd, enum kind kind, char *name, size_t size);
enum kind file_of(int fd, char *name, size_t size);

#endif
