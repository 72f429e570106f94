/*
 * What a program writes into a device's regions. They are memory and need nothing done, but for two: a PCI device's configuration
 * space, where most bits do not change, and a subchannel's regions, where writing is what starts an operation.
 */
#include "shim.h"

#define REGION(offset) ((unsigned)((uint64_t)(offset) >> 40))

/* The bits of a configuration space's first 64 bytes that a write changes. */
static void writable(const struct shared *device, uint8_t *mask)
{
	memset(mask, 0, 64);
	mask[0x04] = 0x47; /* command: I/O, memory, bus master, parity */
	mask[0x05] = 0x05; /* SERR, INTx disable */
	mask[0x0c] = 0xff; /* cache line size */
	mask[0x0d] = 0xff; /* latency timer */
	mask[0x3c] = 0xff; /* interrupt line */
	for (int i = 0; i < 6; i++) {
		/* A BAR's address: what is below its size reads as it is. */
		uint64_t bits = device->bar[i] ? ~(device->bar[i] - 1) : 0;

		for (int j = 0; j < 4; j++)
			mask[0x10 + i * 4 + j] = bits >> 8 * j;
	}
}

static ssize_t write_config(struct vfile *file, const uint8_t *data, size_t size, uint64_t at)
{
	uint8_t mask[64], *config;

	if (at >= file->shared->config)
		return fails(EINVAL);
	if (size > file->shared->config - at)
		size = file->shared->config - at;
	config = file_memory(file, (uint64_t)VFIO_PCI_CONFIG_REGION_INDEX << 40, 4096);
	if (!config)
		return fails(EIO);
	writable(file->shared, mask);
	for (size_t i = 0; i < size; i++) {
		uint8_t bits = at + i < sizeof(mask) ? mask[at + i] : 0xff;

		config[at + i] = (config[at + i] & ~bits) | (data[i] & bits);
	}
	file_memory_end(config, 4096);
	return size;
}

/* Whether what is written there does more than to be there. */
static bool matters(const struct shared *device, uint64_t offset)
{
	return device->kind == DEVICE && (device->api == API_CCW || (device->api == API_PCI &&
								      REGION(offset) == VFIO_PCI_CONFIG_REGION_INDEX));
}

static ssize_t write_region(struct vfile *file, uint64_t data, size_t size, uint64_t offset)
{
	uint8_t copy[256];

	if (file->shared->api == API_CCW)
		return ccw_write(file, data, size, offset);
	if (size > sizeof(copy))
		size = sizeof(copy);
	if (from_user(copy, data, size))
		return -1;
	return write_config(file, copy, size, offset & ((1ull << 40) - 1));
}

static ssize_t write_at(int fd, const void *data, size_t size, off_t offset)
{
	struct vfile *file = fd_is_ours(fd) ? file_get(fd) : NULL;
	ssize_t result;

	if (!file)
		return REAL(pwrite)(fd, data, size, offset);
	if (matters(file->shared, offset))
		result = write_region(file, (uintptr_t)data, size, offset);
	else
		result = REAL(pwrite)(fd, data, size, offset);
	file_put(file);
	return result;
}

static ssize_t read_at(int fd, void *data, size_t size, off_t offset)
{
	struct vfile *file = fd_is_ours(fd) ? file_get(fd) : NULL;
	ssize_t result;

	if (!file)
		return REAL(pread)(fd, data, size, offset);
	if (file->shared->kind == DEVICE && file->shared->api == API_CCW)
		result = ccw_read(file, (uintptr_t)data, size, offset);
	else
		result = REAL(pread)(fd, data, size, offset);
	file_put(file);
	return result;
}

HOOK ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	return write_at(fd, data, size, offset);
}

HOOK ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
	return read_at(fd, data, size, offset);
}

/* At the descriptor's own place, which moves on. */
HOOK ssize_t write(int fd, const void *data, size_t size)
{
	if (!fd_is_ours(fd))
		return REAL(write)(fd, data, size);
	off_t offset = lseek(fd, 0, SEEK_CUR);
	ssize_t n = write_at(fd, data, size, offset);

	if (n > 0)
		lseek(fd, offset + n, SEEK_SET);
	return n;
}

HOOK ssize_t read(int fd, void *data, size_t size)
{
	if (!fd_is_ours(fd))
		return REAL(read)(fd, data, size);
	off_t offset = lseek(fd, 0, SEEK_CUR);
	ssize_t n = read_at(fd, data, size, offset);

	if (n > 0)
		lseek(fd, offset + n, SEEK_SET);
	return n;
}

#ifdef __GLIBC__
HOOK ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset)
{
	return write_at(fd, data, size, offset);
}

HOOK ssize_t pread64(int fd, void *data, size_t size, off64_t offset)
{
	return read_at(fd, data, size, offset);
}
#endif
