/* A matrix of AP queues as vfio-ap shows it: no regions, and from 6.3 on an interrupt by which it is asked to go. */
#include "shim.h"

/* The request interrupt from 6.3 on, that of a changed configuration from 6.16 on. */
static unsigned irqs(void)
{
	return kernel_at_least(6, 16) ? 2 : kernel_at_least(6, 3) ? 1 : 0;
}

/* An ioctl on a matrix, as ioctl returns. */
int ap_ioctl(struct vfile *file, unsigned request, uint64_t arg)
{
	static const unsigned counts[] = { 1, 1 };
	struct reply reply;
	int result;

	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		return device_info(arg, VFIO_DEVICE_FLAGS_AP | VFIO_DEVICE_FLAGS_RESET, 0, irqs());
	case VFIO_DEVICE_GET_IRQ_INFO:
		if (irqs())
			return single_irq_info(arg, irqs(), irqs());
		break;
	case VFIO_DEVICE_SET_IRQS:
		if (irqs())
			return set_irqs(file, arg, counts, irqs());
		break;
	case VFIO_DEVICE_RESET:
		result = device_post(file, file->shared->id, "ap-reset", "", &reply);
		reply_end(&reply);
		return result;
	}
	return unknown_ioctl(file, request, EOPNOTSUPP);
}
