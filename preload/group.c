/* The ioctls of a group. */
#include "shim.h"

/* Longest name of a device, with its NUL: the kernel's is a page. */
#define NAME_MAX_KERNEL 4096

static int post(struct vfile *file, const char *call, const char *json, struct reply *reply)
{
	char path[160];

	snprintf(path, sizeof(path), "/v1/devices/%s/%s", file->shared->id, call);
	http_call(reply, "POST", path, json);
	return settle(reply);
}

static int get_status(struct vfile *file, uint64_t arg)
{
	struct vfio_group_status status;
	struct reply reply;

	if (from_user(&status, arg, sizeof(status)))
		return -1;
	if (status.argsz < sizeof(status))
		return fails(EINVAL);
	int result = post(file, "group-status", "{}", &reply);

	status.flags = json_u64(json_get(reply.body, "value"));
	reply_end(&reply);
	return result ? result : to_user(arg, &status, sizeof(status));
}

static int set_container(struct vfile *file, uint64_t arg)
{
	struct reply reply;
	char json[128];
	int fd;

	if (from_user(&fd, arg, sizeof(fd)))
		return -1;
	if (fd < 0 || REAL(fcntl)(fd, F_GETFD) < 0)
		return fails(EBADF);
	struct vfile *container = file_get(fd);

	if (!container || container->shared->kind != CONTAINER) {
		if (container)
			file_put(container);
		/* What holds a container already is refused for that first. */
		if (*file->shared->container)
			return fails(EINVAL);
		return fails(kernel_at_least(6, 2) ? EBADFD : EINVAL);
	}
	snprintf(json, sizeof(json), "{\"container\":\"%s\"}", container->shared->id);
	int result = post(file, "set-container", json, &reply);

	reply_end(&reply);
	if (result == 0)
		strcpy(file->shared->container, container->shared->id);
	file_put(container);
	return result;
}

static int unset_container(struct vfile *file)
{
	struct reply reply;
	int result = post(file, "unset-container", "{}", &reply);

	reply_end(&reply);
	if (result == 0)
		file->shared->container[0] = 0;
	return result;
}

/* strndup_user: 0, or -1 with EFAULT, or EINVAL where the name is a page or longer. */
static int name_from_user(char *name, uint64_t arg)
{
	for (size_t i = 0; i < NAME_MAX_KERNEL; i++) {
		if (from_user(name + i, arg + i, 1))
			return -1;
		if (!name[i])
			return 0;
	}
	return fails(EINVAL);
}

static int get_device_fd(struct vfile *file, uint64_t arg)
{
	struct shared made;
	struct reply reply;
	char name[NAME_MAX_KERNEL], known_as[ID_SIZE], path[160];

	if (name_from_user(name, arg))
		return -1;
	if (!device_named(file->shared->group, name, &made, known_as))
		return fails(ENODEV);
	snprintf(path, sizeof(path), "/v1/devices/%s/open-device", made.id);
	http_call(&reply, "POST", path, "{}");
	int result = settle(&reply);

	reply_end(&reply);
	if (result)
		return -1;
	uint8_t config[4096] = { 0 };

	made.kind = DEVICE;
	if (made.api == API_PCI)
		pci_describe(&made, config, known_as);
	int fd = file_install(&made, true);

	if (fd < 0) {
		int error = errno;

		snprintf(path, sizeof(path), "/v1/devices/%s/close-device", made.id);
		http_call(&reply, "POST", path, "{}");
		reply_end(&reply);
		return fails(error);
	}
	if (made.config &&
	    REAL(pwrite)(fd, config, made.config, (off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40) != (ssize_t)made.config)
		say("%s has no configuration space: %s", made.id, strerror(errno));
	return fd;
}

/* An ioctl on a group, as ioctl returns. */
int group_ioctl(struct vfile *file, unsigned request, uint64_t arg)
{
	switch (request) {
	case VFIO_GROUP_GET_STATUS:
		return get_status(file, arg);
	case VFIO_GROUP_SET_CONTAINER:
		return set_container(file, arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return unset_container(file);
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(file, arg);
	}
	return unknown_ioctl(file, request, ENOTTY);
}
