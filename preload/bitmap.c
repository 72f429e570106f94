/*
 * Dirty bitmaps in the program's memory, as type1 writes them: mapping by mapping. Where a mapping's first bit is within a
 * word, that word keeps what the program had in it; the mapping's other words are overwritten; words of no mapping are left
 * alone. Memory that cannot be written ends it there: what came before has happened.
 */
#include "shim.h"
#include <sys/uio.h>

#define WORD 64
#define PAGE 4096ull
/* Mappings asked for at once, and iovecs of one system call. */
#define AT_ONCE "1000"
#define IOVECS 512

struct mapping {
	uint64_t iova, size;
};

/* Which part of a bitmap a mapping concerns. */
struct part {
	size_t first, words; /* words of the bitmap */
	bool within;	     /* its first bit is within the first word */
};

static bool overlaps(const struct mapping *m, uint64_t iova, uint64_t last)
{
	return m->iova <= last && m->iova + (m->size - 1) >= iova;
}

/* The container's mappings in [iova, iova+size), by IOVA; how many. */
static size_t mappings_in(struct vfile *file, uint64_t iova, uint64_t size, struct mapping **found)
{
	size_t n = 0, room = 0;
	char after[64] = "";

	*found = NULL;
	do {
		struct reply reply;
		char path[256], next[48];

		snprintf(path, sizeof(path), "/v1/containers/%s/mappings?limit=" AT_ONCE "%s", file->shared->id, after);
		http_call(&reply, "GET", path, NULL);
		for (const char *at = json_first(json_get(reply.body, "mappings")); at; at = json_next(at)) {
			struct mapping m = { json_u64(json_get(at, "iova")), json_u64(json_get(at, "size")) };

			if (n == room) {
				struct mapping *more = realloc(*found, (room = room ? room * 2 : 64) * sizeof(m));

				if (!more)
					break;
				*found = more;
			}
			if (overlaps(&m, iova, iova + (size - 1)))
				(*found)[n++] = m;
		}
		after[0] = 0;
		if (json_string(json_get(reply.body, "next"), next, sizeof(next)))
			snprintf(after, sizeof(after), "&after=%s", next);
		reply_end(&reply);
	} while (*after);
	return n;
}

static struct part part_of(const struct mapping *m, uint64_t iova)
{
	uint64_t bit = (m->iova - iova) / PAGE, bits = m->size / PAGE;

	return (struct part){ bit / WORD, (bits + bit % WORD + WORD - 1) / WORD, bit % WORD != 0 };
}

/* How many of the bytes at `at` can be written, tried a word a page: they keep what they are. */
static uint64_t writable(uint64_t at, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		uint64_t words[IOVECS];
		struct iovec local[IOVECS], remote[IOVECS];
		size_t n = 0;

		for (uint64_t offset = done; offset < size && n < IOVECS; n++) {
			local[n] = (struct iovec){ &words[n], 8 };
			remote[n] = (struct iovec){ (void *)(uintptr_t)(at + offset), 8 };
			offset = ((at + offset) | (PAGE - 1)) + 1 - at;
		}
		ssize_t read = process_vm_readv(getpid(), local, n, remote, n, 0);
		ssize_t written = read <= 0 ? 0 : process_vm_writev(getpid(), local, read / 8, remote, read / 8, 0);

		if (read < 0 && (errno == ENOSYS || errno == EPERM))
			return size;
		if (written < (ssize_t)(n * 8))
			return (uintptr_t)remote[written < 0 ? 0 : written / 8].iov_base - at;
		done = (((uintptr_t)remote[n - 1].iov_base) | (PAGE - 1)) + 1 - at;
	}
	return size;
}

/* Where the first mapping begins that has a word at or behind `good` bytes, as an offset; `size` where none has. */
static uint64_t size_before(const struct bitmap *b, uint64_t good)
{
	for (size_t i = 0; i < b->count; i++) {
		struct part part = part_of(&b->mappings[i], b->iova);

		if ((part.first + part.words) * 8 > good)
			return b->mappings[i].iova - b->iova;
	}
	return b->size;
}

static bool any(const uint64_t *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (words[i])
			return true;
	return false;
}

/*
 * Looks at the program's bitmap before the call: what it has in it, and whether it can be written.
 *
 * `b->size` is that of the range whose bits can be given, less than `size` where the kernel stops with EFAULT. The mappings
 * are asked for only where something depends on them. bitmap_end must follow.
 */
int bitmap_begin(struct bitmap *b, struct vfile *file, uint64_t iova, uint64_t size, uint64_t data)
{
	*b = (struct bitmap){ .iova = iova, .size = size, .data = data };
	b->words = (size / PAGE + WORD - 1) / WORD;
	b->had = calloc(b->words + 1, 8);
	if (!b->had)
		return fails(ENOMEM);
	uint64_t good = writable(data, b->words * 8);

	if (good < b->words * 8 || (!from_user(b->had, data, b->words * 8) && any(b->had, b->words)))
		b->count = mappings_in(file, iova, size, &b->mappings);
	b->size = size_before(b, good);
	return 0;
}

/* Whether a mapping reaches over either end of the range; where the bitmap is short, so that mappings are known. */
bool bitmap_bisects(const struct bitmap *b, uint64_t size)
{
	const struct mapping *first = b->mappings, *last = first + b->count - 1;

	return b->count > 0 && (first->iova < b->iova || last->iova + (last->size - 1) > b->iova + (size - 1));
}

void bitmap_end(struct bitmap *b)
{
	free(b->mappings);
	free(b->had);
}

/* The bits that the service answers, as words. */
static uint64_t *bits_of(const char *answer, size_t words)
{
	uint64_t *bits = calloc(words + 1, sizeof(*bits));
	const char *range = json_first(json_get(answer, "dirtyRanges"));

	if (!bits)
		return NULL;
	if (json_get(answer, "bitmap")) {
		json_bytes(json_get(answer, "bitmap"), (uint8_t *)bits, words * sizeof(*bits));
		return bits;
	}
	for (; range; range = json_next(range)) {
		uint64_t first = json_u64(json_first(range)), n = json_u64(json_next(json_first(range)));

		for (uint64_t i = first; i < first + n && i / WORD < words; i++)
			bits[i / WORD] |= 1ull << (i % WORD);
	}
	return bits;
}

/* Keeps of the program's words what the kernel keeps. */
static void keep(const struct bitmap *b, uint64_t *bits, size_t words)
{
	uint8_t *overwritten = calloc(words + 1, 1);

	for (size_t i = 0; overwritten && i < b->count; i++) {
		struct part part = part_of(&b->mappings[i], b->iova);

		for (size_t w = part.first + part.within; w < part.first + part.words && w < words; w++)
			overwritten[w] = 1;
	}
	for (size_t w = 0; overwritten && w < words; w++)
		if (!overwritten[w])
			bits[w] |= b->had[w];
	free(overwritten);
}

/* Gives the program the bits of an answer to a call for `b->size` bytes. */
int bitmap_give(const struct bitmap *b, const char *answer)
{
	size_t words = (b->size / PAGE + WORD - 1) / WORD;
	uint64_t *bits = bits_of(answer, words);

	if (!bits)
		return fails(ENOMEM);
	keep(b, bits, words);
	int result = to_user(b->data, bits, words * 8);

	free(bits);
	return result;
}
