/*
 * A subchannel (group 0, mdev "0.0.0000") as a program of s390x drives it: ORBs and CCWs are bytes as s390 has them.
 */
#include "check.h"
#include <linux/vfio_ccw.h>
#include <sys/eventfd.h>

#define IOVA 0x10000
#define SIZE (16 * PAGE)

static uint8_t *guest;
static int container, device;

/* A format-1 CCW at an offset of the guest's memory. */
static void ccw(unsigned offset, uint8_t command, uint8_t flags, uint16_t count, uint32_t address)
{
	uint8_t bytes[8] = { command, flags, count >> 8, count, address >> 24, address >> 16, address >> 8, address };

	memcpy(guest + offset, bytes, sizeof(bytes));
}

/* Starts the program at an offset of the guest's memory; what pwrite returns. */
static long start(unsigned offset)
{
	struct ccw_io_region io = { { 0 } };
	uint32_t address = IOVA + offset;
	uint8_t orb[ORB_AREA_SIZE] = { [4] = 0x08, [5] = 0xc2, [6] = 0xff, [8] = address >> 24, address >> 16, address >> 8,
				       address };

	memcpy(io.orb_area, orb, sizeof(orb));
	io.scsw_area[2] = 0x40;
	return pwrite(device, &io, sizeof(io), 0);
}

static void regions(void)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct {
		struct vfio_region_info info;
		struct vfio_region_info_cap_type cap;
	} region = { { .argsz = sizeof(region.info) }, { { 0 } } };
	uint8_t byte = 0;

	show("info", ioctl(device, VFIO_DEVICE_GET_INFO, &info));
	printf("info-counts %u %u flags 0x%x\n", info.num_regions, info.num_irqs, info.flags);
	for (unsigned i = 0; i <= 4; i++) {
		char name[32];

		region.info.index = i;
		region.info.argsz = sizeof(region);
		snprintf(name, sizeof(name), "region-%u", i);
		if (show(name, ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region)) == 0)
			printf("%s-is %llu at 0x%llx flags 0x%x subtype %u\n", name, region.info.size, region.info.offset,
			       region.info.flags, region.info.cap_offset ? region.cap.subtype : 0);
	}
	region.info.index = 1;
	region.info.argsz = sizeof(region.info);
	show("region-small", ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region));
	printf("region-small-wants %u\n", region.info.argsz);
	show("read-beyond", pread(device, &byte, 1, sizeof(struct ccw_io_region)));
	show("write-schib", pwrite(device, &byte, 1, 2 << 10));
	void *volatile bad = BAD;

	show("write-bad-pointer", pwrite(device, bad, 4, 1 << 10));
	show("unknown", ioctl(device, VFIO_DEVICE_IOEVENTFD, BAD));
}

static void programs(void)
{
	struct ccw_io_region io;
	struct ccw_cmd_region command = { .command = VFIO_CCW_ASYNC_CMD_HSCH };
	int event = eventfd(0, EFD_NONBLOCK);
	uint64_t count = 0;
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} irq = { { sizeof(irq), VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_CCW_IO_IRQ_INDEX, 0, 1 }, event };

	show("eventfd", ioctl(device, VFIO_DEVICE_SET_IRQS, &irq));
	ccw(0, 0x01, 0, 0x800, IOVA + 0x2800);
	show("start", start(0));
	show("signalled", read(event, &count, sizeof(count)));
	pread(device, &io, sizeof(io), 0);
	printf("irb %02x %02x device %02x subchannel %02x ret %d\n", io.irb_area[2], io.irb_area[3], io.irb_area[8],
	       io.irb_area[9], (int)io.ret_code);
	/* Suspended at its first CCW: it stays, and holds its page. */
	ccw(0x100, 0x01, 0x02, 0x800, IOVA + 0x2800);
	show("start-suspended", start(0x100));
	show("not-signalled", read(event, &count, sizeof(count)));
	show("start-again", start(0));
	pread(device, &io, sizeof(io), 0);
	printf("busy ret %d\n", (int)io.ret_code);
	show("halt", pwrite(device, &command, sizeof(command), 1 << 10));
	show("halt-signalled", read(event, &count, sizeof(count)));
	command.command = 0x80;
	show("no-command", pwrite(device, &command, sizeof(command), 1 << 10));
	show("start-outside", start(SIZE));
	ccw(0x200, 0x01, 0x02, 0x800, IOVA + 0x2800);
	show("start-for-unmap", start(0x200));
	show("unmap", unmap(container, IOVA, SIZE, 0));
	show("reset", ioctl(device, VFIO_DEVICE_RESET));
}

int main(int argc, char **argv)
{
	int group;

	guest = memory(SIZE);
	container = attached(&group, 0, VFIO_TYPE1v2_IOMMU);
	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, "0.0.0000");
	show_ok("device", device);
	show("map", map(container, IOVA, guest, SIZE, 3));
	if (argc > 1 && !strcmp(argv[1], "regions"))
		regions();
	else
		programs();
	return 0;
}
