/*
 * How often each call was answered with each errno, counted in a file that outlives the program: the processes of
 * a run share it, and whoever started them reads it.
 *
 * The file is 128 records of 512 bytes: state (32 bits, 2: used), name (44 bytes, NUL-padded), and a counter of 32
 * bits for each errno from 0 to 115. Several records may have the same name; their counts add up.
 */
#include "shim.h"
#include <sys/mman.h>

#define ERRNOS 116
#define RECORDS 128

enum state { FREE, NAMING, USED };

struct record {
	uint32_t state;
	char name[44];
	uint32_t count[ERRNOS];
};

_Static_assert(sizeof(struct record) == 512, "the reader counts on it");

static struct record *records;

static void open_account(void)
{
	char path[4096];
	int fd;

	if (!shim.root)
		return;
	snprintf(path, sizeof(path), "%s/account", shim.root);
	fd = REAL(open)(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (!ftruncate(fd, sizeof(struct record) * RECORDS)) {
		void *at = mmap(NULL, sizeof(struct record) * RECORDS, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		if (at != MAP_FAILED)
			records = at;
	}
	REAL(close)(fd);
}

/* The record of a name, made where there is none yet; NULL where there is no room. */
static struct record *record_of(const char *name)
{
	for (struct record *r = records; r < records + RECORDS; r++) {
		uint32_t state = FREE;

		if (__atomic_compare_exchange_n(&r->state, &state, NAMING, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			strncpy(r->name, name, sizeof(r->name) - 1);
			__atomic_store_n(&r->state, USED, __ATOMIC_RELEASE);
			return r;
		}
		if (state == USED && !strncmp(r->name, name, sizeof(r->name) - 1))
			return r;
	}
	return NULL;
}

/* Counts a call that was answered with an errno, or 0. */
void account(const char *call, int error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	int kept = errno;

	pthread_once(&once, open_account);
	errno = kept;
	if (!records || error < 0 || error >= ERRNOS)
		return;
	struct record *r = record_of(call);

	if (r)
		__atomic_add_fetch(&r->count[error], 1, __ATOMIC_RELAXED);
}
