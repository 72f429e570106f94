/*
 * A subchannel as vfio-ccw shows it: writing an ORB into its I/O region starts a channel program, writing a command into the
 * async region halts or clears it. The program's interrupt comes at once, where there is one: whoever wants it late suspends
 * the program.
 */
#include "shim.h"
#include <linux/vfio_ccw.h>

/* VFIO_CCW_OFFSET_TO_INDEX */
#define INDEX_SHIFT 10
#define INDEX(offset) ((unsigned)((offset) >> INDEX_SHIFT))
#define REGION_SIZE 32
#define REQUEST_IRQ 2

enum region { IO, ASYNC, SCHIB, CRW, REGIONS };

static const struct {
	uint32_t size, flags, subtype;
} REGION[REGIONS] = {
	[IO] = { sizeof(struct ccw_io_region), VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE, 0 },
	[ASYNC] = { sizeof(struct ccw_cmd_region), VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE,
		    VFIO_REGION_SUBTYPE_CCW_ASYNC_CMD },
	[SCHIB] = { sizeof(struct ccw_schib_region), VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_SUBTYPE_CCW_SCHIB },
	[CRW] = { sizeof(struct ccw_crw_region), VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_SUBTYPE_CCW_CRW },
};

/* Interrupts: I/O, channel report, and from 5.12 on the request to let the device go. */
static unsigned irqs(void)
{
	return kernel_at_least(5, 12) ? 3 : 2;
}

static int post(struct vfile *file, const char *call, const char *more, struct reply *reply)
{
	return device_post(file, file->shared->id, call, more, reply);
}

static int get_region_info(uint64_t arg)
{
	struct vfio_region_info info;
	struct vfio_region_info_cap_type cap = { .header = { VFIO_REGION_INFO_CAP_TYPE, 1, 0 }, .type = VFIO_REGION_TYPE_CCW };

	if (from_user(&info, arg, REGION_SIZE))
		return -1;
	if (info.argsz < REGION_SIZE || info.index >= REGIONS)
		return fails(EINVAL);
	info.offset = (uint64_t)info.index << INDEX_SHIFT;
	info.size = REGION[info.index].size;
	info.flags = REGION[info.index].flags;
	if (info.index != IO) {
		cap.subtype = REGION[info.index].subtype;
		info.flags |= VFIO_REGION_INFO_FLAG_CAPS;
		info.cap_offset = 0;
		if (info.argsz < REGION_SIZE + sizeof(cap)) {
			info.argsz = REGION_SIZE + sizeof(cap);
		} else {
			info.cap_offset = REGION_SIZE;
			if (to_user(arg + REGION_SIZE, &cap, sizeof(cap)))
				return -1;
		}
	}
	return to_user(arg, &info, REGION_SIZE);
}

/* An ioctl on a subchannel, as ioctl returns. */
int ccw_ioctl(struct vfile *file, unsigned request, uint64_t arg)
{
	static const unsigned counts[] = { 1, 1, 1 };
	struct reply reply;
	int result;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		return device_info(arg, VFIO_DEVICE_FLAGS_CCW | VFIO_DEVICE_FLAGS_RESET, REGIONS, irqs());
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return single_irq_info(arg, irqs(), REQUEST_IRQ);
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(file, arg, counts, irqs());
	case VFIO_DEVICE_RESET:
		result = post(file, "ccw-reset", "", &reply);
		reply_end(&reply);
		return result;
	}
	return unknown_ioctl(file, request, ENOTTY);
}

/* The interrupt of what has ended, if anything has: its status is in the I/O region, and the eventfd is signalled. */
static void interrupt(struct vfile *file, struct ccw_io_region *io)
{
	struct reply reply;
	uint64_t n = 0;

	if (post(file, "ccw-no-interrupt", "", &reply) == 0)
		n = json_u64(json_get(reply.body, "interrupts"));
	if (n > 0) {
		const char *scsw = json_get(reply.body, "scsw");
		uint8_t *irb = io->irb_area;
		uint32_t control = json_u64(json_get(scsw, "fctl")) << 12 | json_u64(json_get(scsw, "actl")) << 5 |
				   json_u64(json_get(scsw, "stctl"));
		uint32_t count = json_u64(json_get(scsw, "count"));

		memset(irb, 0, sizeof(io->irb_area));
		irb[2] = control >> 8;
		irb[3] = control;
		irb[8] = json_u64(json_get(scsw, "deviceStatus"));
		irb[9] = json_u64(json_get(scsw, "subchannelStatus"));
		irb[10] = count >> 8;
		irb[11] = count;
		if (file->irq[0][0] >= 0 && write(file->irq[0][0], &n, sizeof(n)) != sizeof(n)) {
			/* The counter is full: the kernel's signal would not be seen either. */
		}
	}
	reply_end(&reply);
}

/* START: the ORB is as s390 has it, its bits counted from the left. */
static int start(struct vfile *file, const struct ccw_io_region *io)
{
	const uint8_t *orb = io->orb_area, *scsw = io->scsw_area;
	bool starts = scsw[2] & 0x40, halts = scsw[2] & 0x20, clears = scsw[2] & 0x10;
	const char *function = starts && halts ? "start+halt" : starts ? "start" : halts ? "halt" : clears ? "clear" : "none";
	uint32_t cpa = (uint32_t)orb[8] << 24 | orb[9] << 16 | orb[10] << 8 | orb[11];
	struct reply reply;
	char json[256];

#define BIT(byte, mask) (orb[byte] & (mask) ? "true" : "false")
	snprintf(json, sizeof(json),
		 ",\"program\":\"0x%x\",\"function\":\"%s\",\"orb\":{\"fmt\":%d,\"spnd\":%s,\"pfch\":%s,\"c64\":%s,\"i2k\":%s,\"b\":%s}",
		 cpa, function, orb[5] & 0x80 ? 1 : 0, BIT(4, 0x08), BIT(5, 0x40), BIT(5, 0x02), BIT(5, 0x01), BIT(5, 0x04));
	int result = post(file, "ccw-start", json, &reply);

	reply_end(&reply);
	return result;
}

/* What the regions' writes ask for, in a memory of all regions. Returns 0, or the errno that they are answered with. */
static int perform(struct vfile *file, uint8_t *regions, unsigned index)
{
	struct ccw_io_region *io = (void *)regions;
	struct ccw_cmd_region *async = (void *)(regions + (ASYNC << INDEX_SHIFT));
	struct reply reply;
	int result;

	if (index == IO) {
		result = start(file, io);
	} else if (async->command == VFIO_CCW_ASYNC_CMD_HSCH || async->command == VFIO_CCW_ASYNC_CMD_CSCH) {
		result = post(file, async->command == VFIO_CCW_ASYNC_CMD_HSCH ? "ccw-halt" : "ccw-clear", "", &reply);
		reply_end(&reply);
	} else {
		/* Both at once, or none: only known commands are looked at, one after the other. */
		result = fails(EINVAL);
	}
	int error = result ? errno : 0;

	if (index == IO)
		io->ret_code = -error;
	else
		async->ret_code = -error;
	if (!error)
		interrupt(file, io);
	return error;
}

static bool within(uint64_t offset, size_t size)
{
	unsigned index = INDEX(offset);

	return index < REGIONS && (offset & ((1 << INDEX_SHIFT) - 1)) + size <= REGION[index].size;
}

/* pwrite to a subchannel, as it returns. */
ssize_t ccw_write(struct vfile *file, uint64_t data, size_t size, uint64_t offset)
{
	unsigned index = INDEX(offset);
	uint8_t bytes[sizeof(struct ccw_io_region)];

	if (!within(offset, size) || !(REGION[index].flags & VFIO_REGION_INFO_FLAG_WRITE))
		return fails(EINVAL);
	if (from_user(bytes, data, size))
		return -1;
	uint8_t *regions = file_memory(file, 0, 4096);

	if (!regions)
		return fails(ENOMEM);
	memcpy(regions + offset, bytes, size);
	int error = perform(file, regions, index);

	account(index == IO ? "write to the I/O region" : "write to the async region", error);
	file_memory_end(regions, 4096);
	return error ? fails(error) : (ssize_t)size;
}

/* pread from a subchannel, as it returns. What the service does not know of the subchannel itself is zero. */
ssize_t ccw_read(struct vfile *file, uint64_t data, size_t size, uint64_t offset)
{
	if (!within(offset, size))
		return fails(EINVAL);
	uint8_t *regions = file_memory(file, 0, 4096);

	if (!regions)
		return fails(ENOMEM);
	int result = to_user(data, regions + offset, size);

	file_memory_end(regions, 4096);
	return result ? -1 : (ssize_t)size;
}
