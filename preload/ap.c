/* A matrix of AP queues as vfio-ap shows it: no regions, and from 6.3 on an interrupt by which it is asked to go. */
#include "shim.h"

#define INFO_SIZE 16
#define IRQ_INFO_SIZE 16

/* The request interrupt from 6.3 on, that of a changed configuration from 6.16 on. */
static unsigned irqs(void)
{
	return kernel_at_least(6, 16) ? 2 : kernel_at_least(6, 3) ? 1 : 0;
}

static int get_info(uint64_t arg)
{
	struct vfio_device_info info = { 0 };

	if (from_user(&info, arg, INFO_SIZE))
		return -1;
	if (info.argsz < INFO_SIZE)
		return fails(EINVAL);
	info.flags = VFIO_DEVICE_FLAGS_AP | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = 0;
	info.num_irqs = irqs();
	return to_user(arg, &info, INFO_SIZE);
}

static int get_irq_info(uint64_t arg)
{
	struct vfio_irq_info info;

	if (from_user(&info, arg, IRQ_INFO_SIZE))
		return -1;
	if (info.argsz < IRQ_INFO_SIZE || info.index >= irqs())
		return fails(EINVAL);
	info.count = 1;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	return to_user(arg, &info, IRQ_INFO_SIZE);
}

/* An ioctl on a matrix, as ioctl returns. */
int ap_ioctl(struct vfile *file, unsigned request, uint64_t arg)
{
	static const unsigned counts[] = { 1, 1 };
	struct reply reply;
	char path[160];
	int result;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		return get_info(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		if (irqs())
			return get_irq_info(arg);
		break;
	case VFIO_DEVICE_SET_IRQS:
		if (irqs())
			return set_irqs(file, arg, counts, irqs());
		break;
	case VFIO_DEVICE_RESET:
		snprintf(path, sizeof(path), "/v1/devices/%s/ap-reset", file->shared->id);
		http_call(&reply, "POST", path, "{}");
		result = settle(&reply);
		reply_end(&reply);
		return result;
	}
	return unknown_ioctl(file, request, EOPNOTSUPP);
}
