/* ioctl itself: whose it is, and how its calls are named. */
#include "shim.h"
#include <sys/ioctl.h>

#define NUMBER(request) ((request) & 0xff)
#define IS_VFIO(request) (((request) >> 8 & 0xff) == VFIO_TYPE)

static const char *const NAMES[] = {
	"VFIO_GET_API_VERSION",     "VFIO_CHECK_EXTENSION",        "VFIO_SET_IOMMU",
	"VFIO_GROUP_GET_STATUS",    "VFIO_GROUP_SET_CONTAINER",    "VFIO_GROUP_UNSET_CONTAINER",
	"VFIO_GROUP_GET_DEVICE_FD", "VFIO_DEVICE_GET_INFO",        "VFIO_DEVICE_GET_REGION_INFO",
	"VFIO_DEVICE_GET_IRQ_INFO", "VFIO_DEVICE_SET_IRQS",        "VFIO_DEVICE_RESET",
	"VFIO_IOMMU_GET_INFO",      "VFIO_IOMMU_MAP_DMA",          "VFIO_IOMMU_UNMAP_DMA",
	"VFIO_IOMMU_ENABLE",        "VFIO_IOMMU_DISABLE",          "VFIO_IOMMU_DIRTY_PAGES",
	"VFIO_IOMMU_SPAPR_TCE_CREATE", "VFIO_IOMMU_SPAPR_TCE_REMOVE",
};

/* The same numbers of a device mean something else. */
static const char *const DEVICE_NAMES[] = {
	[12] = "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", [13] = "VFIO_DEVICE_PCI_HOT_RESET",
	[14] = "VFIO_DEVICE_QUERY_GFX_PLANE",	     [15] = "VFIO_DEVICE_GET_GFX_DMABUF",
	[16] = "VFIO_DEVICE_IOEVENTFD",		     [17] = "VFIO_DEVICE_FEATURE",
	[18] = "VFIO_DEVICE_BIND_IOMMUFD",	     [19] = "VFIO_DEVICE_ATTACH_IOMMUFD_PT",
	[20] = "VFIO_DEVICE_DETACH_IOMMUFD_PT",
};

/* Of iommufd's files, /dev/iommu and the container that it serves (IOMMUFD_CMD_BASE). */
#define IOMMUFD_BASE 0x80
static const char *const IOMMUFD_NAMES[] = {
	"IOMMU_DESTROY",	   "IOMMU_IOAS_ALLOC",	     "IOMMU_IOAS_ALLOW_IOVAS",	       "IOMMU_IOAS_COPY",
	"IOMMU_IOAS_IOVA_RANGES",  "IOMMU_IOAS_MAP",	     "IOMMU_IOAS_UNMAP",	       "IOMMU_OPTION",
	"IOMMU_VFIO_IOAS",	   "IOMMU_HWPT_ALLOC",	     "IOMMU_GET_HW_INFO",	       "IOMMU_HWPT_SET_DIRTY_TRACKING",
	"IOMMU_HWPT_GET_DIRTY_BITMAP", "IOMMU_HWPT_INVALIDATE", "IOMMU_FAULT_QUEUE_ALLOC",    "IOMMU_IOAS_MAP_FILE",
	"IOMMU_VIOMMU_ALLOC",	   "IOMMU_VDEVICE_ALLOC",    "IOMMU_IOAS_CHANGE_PROCESS",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The name of a request on a file of this kind; NULL where it has none. */
const char *ioctl_name(enum kind kind, unsigned request)
{
	unsigned number = NUMBER(request) - VFIO_BASE;

	if (!IS_VFIO(request))
		return NULL;
	if (kind == DEVICE && number < COUNT(DEVICE_NAMES) && DEVICE_NAMES[number])
		return DEVICE_NAMES[number];
	if (kind == CONTAINER && NUMBER(request) >= IOMMUFD_BASE && NUMBER(request) - IOMMUFD_BASE < COUNT(IOMMUFD_NAMES))
		return IOMMUFD_NAMES[NUMBER(request) - IOMMUFD_BASE];
	return number < COUNT(NAMES) ? NAMES[number] : NULL;
}

/* An ioctl that is not known here: says so once, and answers as a kernel does that does not know it. */
int unknown_ioctl(struct vfile *file, unsigned request, int error)
{
	static const char *const KINDS[] = { "", "container", "group", "device" };
	static uint32_t said[4][8];
	enum kind kind = file->shared->kind;
	unsigned number = NUMBER(request);
	const char *name = ioctl_name(kind, request);

	/* A terminal's TCGETS and the like are asked of any file. */
	if (IS_VFIO(request) && !(__atomic_fetch_or(&said[kind][number / 32], 1u << number % 32, __ATOMIC_RELAXED) &
				  1u << number % 32)) {
		char text[64];

		snprintf(text, sizeof(text), "ioctl 0x%x", request);
		say("%s is not known of a %s here: it is answered %s", name ? name : text, KINDS[kind],
		    error == ENOTTY ? "ENOTTY" : strerror(error));
	}
	return fails(error);
}

static int dispatch(struct vfile *file, unsigned request, uint64_t arg)
{
	switch (file->shared->kind) {
	case CONTAINER:
		return container_ioctl(file, request, arg);
	case GROUP:
		return group_ioctl(file, request, arg);
	default:
		return device_ioctl(file, request, arg);
	}
}

/* Requests that the kernel answers for any file. */
static bool for_any_file(unsigned long request)
{
	return request == FIOCLEX || request == FIONCLEX || request == FIONBIO || request == FIOASYNC;
}

int on_ioctl(int fd, unsigned long request, uint64_t arg)
{
	struct vfile *file = for_any_file(request) ? NULL : file_get(fd);

	if (!file)
		return REAL(ioctl)(fd, request, arg);
	/* A thread is not cancelled in an ioctl, whatever we do meanwhile. */
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	/* The kernel's handlers take 32 bits of it. */
	const char *name = ioctl_name(file->shared->kind, request);
	int result = dispatch(file, request, arg), error = errno;

	account(name ? name : "other ioctls", result < 0 ? error : 0);
	file_put(file);
	pthread_setcancelstate(cancel, NULL);
	errno = error;
	return result;
}
