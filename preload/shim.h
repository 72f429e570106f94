/*
 * libvfio-host.so: preloaded into an unmodified program, it answers what the program asks of /dev/vfio with the
 * answers of a vfio-host service. This header is what its files share; each of them has one subject.
 */
#ifndef VFIO_HOST_SHIM_H
#define VFIO_HOST_SHIM_H

#include "hooks/hooks.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_SIZE 64
#define IRQ_INDEXES VFIO_PCI_NUM_IRQS
#define IRQ_VECTORS 64

/* Processes that an open file has the names of. */
#define HOLDERS 40

enum kind { CONTAINER = 1, GROUP, DEVICE };

/* What a device says it is in VFIO_DEVICE_GET_INFO. */
enum api { API_PCI, API_CCW, API_AP };

/*
 * An open file, as all processes that hold a descriptor of it share it. It lies in the memfd that the program
 * has as its descriptor, beyond everything the program may read or map there.
 */
struct shared {
	uint32_t magic;
	uint32_t kind;     /* enum kind */
	uint32_t serial;   /* order of opening */
	uint32_t released; /* 1 once somebody has closed it in the service */
	uint32_t api;      /* enum api, of a device */
	uint32_t group;    /* number of the group: of a group and of a device */
	uint32_t msi;      /* vectors of MSI, of a PCI device */
	uint32_t intx;     /* 1 where a PCI device has an interrupt pin */
	uint64_t bar[6];   /* sizes of a PCI device's BARs */
	uint32_t config;   /* size of a PCI device's configuration space */
	uint32_t bus_reset; /* 1 where a PCI device can be reset by its bus */
	uint32_t holders;   /* processes that have it open in the service */
	char opener[ID_SIZE]; /* process of the service that opened it */
	struct holder {
		uint32_t state; /* 2: used, 1: being written */
		char name[ID_SIZE];
	} holder[HOLDERS]; /* who they are, as far as there is room */
	char id[ID_SIZE];        /* in the service: the container's, else a device's */
	char container[ID_SIZE]; /* of a group: the container it is in, or "" */
};

/* An open file as this process has it. */
struct vfile {
	struct shared *shared;
	struct vfile *next;
	int probe; /* another open file of the same memfd: who can lock it is the last */
	int fds;   /* descriptors of this process */
	int busy;  /* calls under way on it */
	char holder[ID_SIZE]; /* this process, where the service knows that it has the file; else "": it is used in another's name */
	int irq[IRQ_INDEXES][IRQ_VECTORS]; /* eventfds of this process's own, or -1 */
	unsigned irq_index;                /* interrupt that is enabled, plus one; 0: none */
	unsigned irq_count;                /* its vectors */
};

/* config.c: what the environment says, read once */
extern struct shim {
	const char *root;    /* folder with what stands in for /sys and /dev/vfio, or NULL */
	const char *rig;     /* rig of the service, or "" */
	bool hang;           /* a call that never returns never returns, rather than ending the program */
	bool on;             /* there is a service to speak to */
} shim;
void shim_start(void);
void shim_start_quietly(void);

/* http.c, connection.c */
struct reply {
	int status;
	char *body; /* ends with NUL; the connection's own, until reply_end */
	void *connection;
};
bool http_configure(const char *url, const char *rig);
void http_call(struct reply *reply, const char *method, const char *path, const char *json);
/* Longest call, with its arguments. */
#define CALL_SIZE 768
void http_call_on(struct reply *reply, const char *on, const char *id, const char *call, const char *args);
void reply_end(struct reply *reply);
bool http_owns(int fd);
void http_before_fork(void);
void http_after_fork(bool child);
int move_high(int fd);

/* json.c */
const char *json_get(const char *object, const char *key);
const char *json_first(const char *array);
const char *json_next(const char *element);
uint64_t json_u64(const char *value);
bool json_string(const char *value, char *out, size_t size);
bool json_is(const char *value, const char *text);
size_t json_bytes(const char *value, uint8_t *out, size_t size);

/* user.c: the program's memory, as copy_from_user and copy_to_user reach it. 0, or -1 and EFAULT */
int from_user(void *to, uint64_t from, size_t size);
int to_user(uint64_t to, const void *from, size_t size);
int fails(int error);

/* kernel.c: which kernel the service answers as */
bool kernel_at_least(unsigned major, unsigned minor);
bool kernel_has_iommufd_containers(void);
bool kernel_has_real_memory(void);

/* process.c: the process that the service knows us by */
extern pid_t own_pid;
const char *current_process(void);
bool process_is_own(void);
void process_count_child(void);
bool process_forked(bool tell);
bool process_spawns(pid_t pid, char *child);
void process_ended(const char *name, int signal);
void process_exits(void);

/* children.c: who is told of the end of processes that are killed */
bool child_ends_are_seen(void);
void child_known(pid_t pid, const char *name);
void child_spawns(const char *name);
void child_spawned(const char *name, pid_t pid);
bool child_is(const char *name);
void child_ends(pid_t pid);

/* table.c: which descriptor is which open file */
extern struct vfile *files;
extern pthread_mutex_t files_lock;
struct vfile *file_of(int fd);
struct vfile *file_detach(int fd);
void file_attach(int fd, struct vfile *file);
struct vfile *file_get(int fd);
void file_put(struct vfile *file);
void files_close_all(void);

/* files.c: how long they stay open; those with `file_` at their head are called with files_lock held, but for the last three */
#define SHARED_OFFSET (1ull << 46)
#define MEMFD "/memfd:vfio-host"
struct vfile *file_open_probe(int fd);
bool file_is_same(int a, int b);
bool is_memfd_of_ours(int fd);
bool file_is_left(struct vfile *file);
void file_take(struct vfile *file, const char *process);
void file_given(struct shared *shared, const char *process);
void close_in_service(const struct shared *shared, const char *process);
bool file_drop(struct shared *shared, const char *process);
bool file_has(const struct shared *shared, const char *process);
const char *file_holder(const struct vfile *file);
bool file_release(struct vfile *file);
void file_forget(struct vfile *file);
int file_install(const struct shared *made, bool cloexec);
void *file_memory(struct vfile *file, uint64_t offset, size_t size);
void file_memory_end(void *memory, size_t size);
void files_unmapped(void);
#define ACTOR_SIZE (ID_SIZE + 16)
const char *actor_of(const struct vfile *file, char *json);

/* inherit.c: what comes from elsewhere, and goes there */
void fd_received(int fd);
bool files_given(pid_t pid, char *child);
void files_taken_back(const char *child);
void probes_cloexec(bool on);
void files_killed(const char *process);
void files_in_child(bool known);
bool files_known_to_service(void);

/* paths.c */
const char *redirect(const char *path, char *buffer);
const char *vfio_node(int directory, const char *path);
bool vfio_node_stat(const char *node, struct stat *st);

/* open.c */
int vfio_open(const char *node, int flags);

/* device.c, what buses share */
int device_post(const struct vfile *file, const char *device, const char *call, const char *more, struct reply *reply);
int device_info(uint64_t arg, uint32_t flags, unsigned regions, unsigned irqs);
int single_irq_info(uint64_t arg, unsigned irqs, unsigned fixed);

/* container.c, group.c, device.c, pci.c, ccw.c, ap.c: the ioctls; they return as ioctl does */
int container_ioctl(struct vfile *file, unsigned request, uint64_t arg);
int group_ioctl(struct vfile *file, unsigned request, uint64_t arg);
int device_ioctl(struct vfile *file, unsigned request, uint64_t arg);
int pci_ioctl(struct vfile *file, unsigned request, uint64_t arg);
int ccw_ioctl(struct vfile *file, unsigned request, uint64_t arg);
int ap_ioctl(struct vfile *file, unsigned request, uint64_t arg);
int set_irqs(struct vfile *file, uint64_t arg, const unsigned *counts, unsigned indexes);
void pci_describe(struct shared *made, uint8_t *config, const char *name);

ssize_t ccw_read(struct vfile *file, uint64_t data, size_t size, uint64_t offset);
ssize_t ccw_write(struct vfile *file, uint64_t data, size_t size, uint64_t offset);

/* devices.c: the service's devices by the names a program knows them by */
bool device_of_group(unsigned group, struct shared *found);
bool device_named(unsigned group, const char *name, struct shared *found, char *known_as);

/* bitmap.c: a dirty bitmap in the program's memory */
struct bitmap {
	uint64_t iova, size, data;
	size_t words;
	uint64_t *had; /* what the program had in it */
	struct mapping *mappings;
	size_t count;
};
int bitmap_begin(struct bitmap *b, struct vfile *file, uint64_t iova, uint64_t size, uint64_t data);
bool bitmap_bisects(const struct bitmap *b, uint64_t size);
int bitmap_give(const struct bitmap *b, const char *answer);
void bitmap_end(struct bitmap *b);

/* ioctl.c */
const char *ioctl_name(enum kind kind, unsigned request);
int unknown_ioctl(struct vfile *file, unsigned request, int error);

/* trouble.c: answers that are more than an errno */
int settle(struct reply *reply);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* account.c */
void account(const char *call, int error);

#endif
