/*
 * The ioctls of a container: its own, and those of type1. What the kernel looks at before it takes the container's lock and
 * that lies in the program (argsz, pointers, the bitmap's size) is looked at here; everything else is the service's to say.
 */
#include "shim.h"
#include <sys/mman.h>

/* sizes of the structs up to what each kernel needs, bytes */
#define INFO_MIN 16
#define INFO_CAP_OFFSET_END 20
#define INFO_SIZE 24
#define MAP_SIZE 32
#define UNMAP_SIZE 24
#define BITMAP_SIZE 24
#define DIRTY_SIZE 8
#define DIRTY_GET_SIZE 40
/* DIRTY_BITMAP_SIZE_MAX */
#define BITMAP_MAX (1ull << 28)
/* End of the addresses a program may have (TASK_SIZE_MAX with four levels of page tables). */
#define USER_END (0x7ffffffff000ull)

/* Makes a call in the name of who has the file; `args` are its arguments. */
static int post(struct vfile *file, const char *call, const char *args, struct reply *reply)
{
	char all[512], actor[ACTOR_SIZE];

	snprintf(all, sizeof(all), "%s%s", args, actor_of(file, actor));
	http_call_on(reply, "container", file->shared->id, call, all);
	return settle(reply);
}

static int post_only(struct vfile *file, const char *call, const char *args)
{
	struct reply reply;
	int result = post(file, call, args, &reply);

	reply_end(&reply);
	return result;
}

/* What the view of the container's IOMMU says; it takes no lock, so that a wedged one answers. */
static uint64_t iommu_field(struct vfile *file, const char *field)
{
	struct reply reply;
	char path[160];

	snprintf(path, sizeof(path), "/v1/containers/%s", file->shared->id);
	http_call(&reply, "GET", path, NULL);
	const char *value = json_get(json_get(reply.body, "iommu"), field);
	uint64_t result = json_is(value, "true") ? 1 : json_u64(value);

	reply_end(&reply);
	return result;
}

/* Type of the container's IOMMU (1, 3, 6), 0 where it has none yet. */
static unsigned iommu_type(struct vfile *file)
{
	return iommu_field(file, "type");
}

static bool dirty_tracking(struct vfile *file)
{
	return iommu_field(file, "dirtyTracking");
}

/* An errno of the IOMMU's driver: a classic container without one never gets that far, iommufd's looks at it first. */
static int driver_fails(struct vfile *file, int error)
{
	return fails(kernel_has_iommufd_containers() || iommu_type(file) ? error : EINVAL);
}

static int check_extension(struct vfile *file, uint64_t extension)
{
	struct reply reply;
	char json[64];

	if (extension > INT32_MAX)
		return 0;
	snprintf(json, sizeof(json), "\"extension\":%llu", (unsigned long long)extension);
	int result = post(file, "check-extension", json, &reply);

	if (result == 0)
		result = json_u64(json_get(reply.body, "value"));
	reply_end(&reply);
	return result;
}

static int set_iommu(struct vfile *file, uint64_t type)
{
	char json[64];

	snprintf(json, sizeof(json), "\"type\":%llu", (unsigned long long)(type > INT32_MAX ? INT32_MAX : type));
	return post_only(file, "set-iommu", json);
}

/* Adds a capability to a chain; what comes before it points to it. */
static void *add_capability(uint8_t *info, size_t *end, size_t *last, uint16_t id, size_t size)
{
	struct vfio_info_cap_header *header = (void *)(info + *end);

	header->id = id;
	header->version = 1;
	if (*last)
		((struct vfio_info_cap_header *)(info + *last))->next = *end;
	*last = *end;
	/* From 6.6 on each capability begins at a multiple of 8. */
	*end += kernel_at_least(6, 6) ? (size + 7) & ~7ul : size;
	return header;
}

/* VFIO_IOMMU_GET_INFO: the fixed part in `info`, the capabilities behind it. Returns the size of all. */
static size_t build_info(uint8_t *info, const char *answer)
{
	struct vfio_iommu_type1_info *fixed = (void *)info;
	size_t end = INFO_SIZE, last = 0;

	fixed->flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	fixed->iova_pgsizes = json_u64(json_get(answer, "pageSizes"));
	/* iommufd's container has no migration capability. */
	if (json_get(answer, "maxDirtyBitmapSize")) {
		struct vfio_iommu_type1_info_cap_migration *migration =
			add_capability(info, &end, &last, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, sizeof(*migration));

		migration->pgsize_bitmap = json_u64(json_get(answer, "dirtyPageSizes"));
		migration->max_dirty_bitmap_size = json_u64(json_get(answer, "maxDirtyBitmapSize"));
	}
	struct vfio_iommu_type1_info_dma_avail *avail =
		add_capability(info, &end, &last, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, sizeof(*avail));

	avail->avail = json_u64(json_get(answer, "dmaAvail"));
	const char *range = json_first(json_get(answer, "iovaRanges"));

	if (range) {
		unsigned n = 0;

		for (const char *at = range; at; at = json_next(at))
			n++;
		struct vfio_iommu_type1_info_cap_iova_range *ranges = add_capability(
			info, &end, &last, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, sizeof(*ranges) + n * 16);

		ranges->nr_iovas = n;
		for (n = 0; range; range = json_next(range), n++) {
			ranges->iova_ranges[n].start = json_u64(json_first(range));
			ranges->iova_ranges[n].end = json_u64(json_next(json_first(range)));
		}
	}
	return end;
}

/*
 * Where there is not room for all capabilities, type1 gives none and iommufd those that fit, although nothing points to the
 * first of them (fill_cap_dma_avail, fill_cap_iova).
 */
static int give_some_capabilities(uint64_t arg, uint8_t *info, uint32_t argsz)
{
	size_t last = 0, next = INFO_SIZE;

	while (next) {
		struct vfio_info_cap_header *head = (void *)(info + next);
		size_t at = next, end = head->id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL ? at + 12 : 0;

		if (head->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			end = at + 16 + 16 * ((struct vfio_iommu_type1_info_cap_iova_range *)head)->nr_iovas;
		next = head->next;
		head->next = 0;
		if (last && argsz >= at && to_user(arg + last + offsetof(struct vfio_info_cap_header, next), &(uint32_t){ at }, 4))
			return -1;
		if (end && end <= argsz && to_user(arg + at, info + at, end - at))
			return -1;
		last = at;
	}
	return 0;
}

static int get_info(struct vfile *file, uint64_t arg)
{
	struct vfio_iommu_type1_info user = { 0 }, *fixed;
	struct reply reply;
	char path[256];
	size_t copied;
	int result;

	if (from_user(&user, arg, INFO_MIN))
		return driver_fails(file, EFAULT);
	if (user.argsz < INFO_MIN)
		return driver_fails(file, EINVAL);
	if (kernel_at_least(6, 6))
		copied = user.argsz < INFO_SIZE ? user.argsz : INFO_SIZE;
	else
		copied = user.argsz < INFO_CAP_OFFSET_END ? INFO_MIN : INFO_CAP_OFFSET_END;
	snprintf(path, sizeof(path), "/v1/containers/%s/iommu-info?process=%s", file->shared->id, file_holder(file));
	http_call(&reply, "GET", path, NULL);
	if ((result = settle(&reply))) {
		reply_end(&reply);
		return result;
	}
	uint8_t *info = calloc(1, INFO_SIZE + 128 + strlen(reply.body));

	fixed = (void *)info;
	fixed->argsz = user.argsz;
	size_t size = build_info(info, reply.body);

	reply_end(&reply);
	if (user.argsz < size) {
		fixed->argsz = size;
		if (kernel_has_iommufd_containers())
			result = give_some_capabilities(arg, info, user.argsz);
	} else {
		fixed->cap_offset = INFO_SIZE;
		result = to_user(arg + INFO_SIZE, info + INFO_SIZE, size - INFO_SIZE);
	}
	if (result == 0)
		result = to_user(arg, info, copied);
	free(info);
	return result;
}

static int map_dma(struct vfile *file, uint64_t arg)
{
	struct vfio_iommu_type1_dma_map map;
	char json[256];

	if (from_user(&map, arg, MAP_SIZE))
		return driver_fails(file, EFAULT);
	if (map.argsz < MAP_SIZE)
		return driver_fails(file, EINVAL);
	snprintf(json, sizeof(json), "\"iova\":\"0x%llx\",\"vaddr\":\"0x%llx\",\"size\":\"0x%llx\",\"flags\":%u",
		 map.iova, map.vaddr, map.size, map.flags);
	return post_only(file, "map-dma", json);
}

/* access_ok and verify_bitmap_size. */
static bool bitmap_fits(uint64_t size, const struct vfio_bitmap *bitmap)
{
	uint64_t data = (uintptr_t)bitmap->data;

	if (!bitmap->pgsize || data > USER_END || bitmap->size > USER_END - data)
		return false;
	uint64_t pages = size >> __builtin_ctzll(bitmap->pgsize);

	return pages && bitmap->size && bitmap->size <= BITMAP_MAX && bitmap->size >= (pages + 63) / 64 * 8;
}

/*
 * Makes a call that gives a bitmap. Where the program's memory cannot take all of it, the call is made for what comes before,
 * as the kernel stops there: its checks are of the whole range and come first.
 */
static int call_for_bitmap(struct vfile *file, const char *call, uint64_t iova, uint64_t size, const struct vfio_bitmap *user,
			   const char *more, struct reply *reply)
{
	struct bitmap b;
	char json[256];
	int result = bitmap_begin(&b, file, iova, size, (uintptr_t)user->data);

	reply->connection = NULL;
	if (result == 0 && b.size < size && user->pgsize == 4096) {
		if (!dirty_tracking(file) || (iova | size) & 4095 || bitmap_bisects(&b, size))
			result = fails(EINVAL);
		else if (b.size == 0)
			result = fails(EFAULT);
	}
	if (result == 0) {
		snprintf(json, sizeof(json), "\"iova\":\"0x%llx\",\"size\":\"0x%llx\",\"pageSize\":\"0x%llx\"%s",
			 (unsigned long long)iova, (unsigned long long)b.size, user->pgsize, more);
		result = post(file, call, json, reply);
		if (result == 0)
			result = bitmap_give(&b, reply->body);
		if (result == 0 && b.size < size)
			result = fails(EFAULT);
	}
	bitmap_end(&b);
	return result;
}

static int unmap_dma(struct vfile *file, uint64_t arg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_bitmap bitmap;
	struct reply reply;
	char json[256];

	if (from_user(&unmap, arg, UNMAP_SIZE))
		return driver_fails(file, EFAULT);
	if (unmap.argsz < UNMAP_SIZE)
		return driver_fails(file, EINVAL);
	bool dirty = unmap.flags == VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP && !kernel_has_iommufd_containers();

	if (dirty) {
		if (unmap.argsz < UNMAP_SIZE + BITMAP_SIZE)
			return driver_fails(file, EINVAL);
		if (from_user(&bitmap, arg + UNMAP_SIZE, BITMAP_SIZE))
			return driver_fails(file, EFAULT);
		if (!bitmap_fits(unmap.size, &bitmap))
			return driver_fails(file, EINVAL);
	}
	int result;

	if (dirty) {
		result = call_for_bitmap(file, "unmap-dma", unmap.iova, unmap.size, &bitmap, ",\"flags\":1", &reply);
	} else {
		snprintf(json, sizeof(json), "\"iova\":\"0x%llx\",\"size\":\"0x%llx\",\"flags\":%u", unmap.iova,
			 unmap.size, unmap.flags);
		result = post(file, "unmap-dma", json, &reply);
	}
	int error = errno;
	/* iommufd says what it has unmapped also where it then fails. */
	bool tells = result == 0 || (reply.connection && json_get(reply.body, "size"));

	if (tells)
		unmap.size = json_u64(json_get(reply.body, "size"));
	reply_end(&reply);
	if (tells && to_user(arg, &unmap, UNMAP_SIZE))
		return -1;
	errno = error;
	return result;
}

static int dirty_pages(struct vfile *file, uint64_t arg)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap head;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} user;
	struct reply reply;
	char json[256];
	unsigned type = iommu_type(file);

	if (kernel_has_iommufd_containers())
		return fails(ENOTTY);
	if (!type)
		return fails(EINVAL);
	/* Before the argument is looked at. */
	if (type == VFIO_TYPE1_IOMMU)
		return fails(EACCES);
	if (from_user(&user.head, arg, DIRTY_SIZE))
		return -1;
	if (user.head.argsz < DIRTY_SIZE)
		return fails(EINVAL);
	if (user.head.flags != VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP) {
		snprintf(json, sizeof(json), "\"flags\":%u", user.head.flags);
		return post_only(file, "dirty-flags", json);
	}
	if (user.head.argsz < DIRTY_SIZE + DIRTY_GET_SIZE)
		return fails(EINVAL);
	if (from_user(&user, arg, DIRTY_SIZE + DIRTY_GET_SIZE))
		return -1;
	/* A range that wraps is the service's to refuse: its errno is the kernel's of that release. */
	bool wraps = user.get.size && user.get.iova + user.get.size - 1 < user.get.iova;

	if (!wraps && !bitmap_fits(user.get.size, &user.get.bitmap))
		return fails(EINVAL);
	int result = call_for_bitmap(file, "dirty-get", user.get.iova, user.get.size, &user.get.bitmap, "", &reply);

	reply_end(&reply);
	return result;
}

/* An ioctl on a container, as ioctl returns. */
int container_ioctl(struct vfile *file, unsigned request, uint64_t arg)
{
	switch (request) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(file, arg);
	case VFIO_SET_IOMMU:
		return set_iommu(file, arg);
	case VFIO_IOMMU_GET_INFO:
		return get_info(file, arg);
	case VFIO_IOMMU_MAP_DMA:
		return map_dma(file, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap_dma(file, arg);
	case VFIO_IOMMU_DIRTY_PAGES:
		return dirty_pages(file, arg);
	}
	return unknown_ioctl(file, request, kernel_has_iommufd_containers() || iommu_type(file) ? ENOTTY : EINVAL);
}
