/* The ioctls of a group. */
#include "shim.h"

/* Longest name of a device, with its NUL: the kernel's is a page. */
#define NAME_MAX_KERNEL 4096

static int post(struct vfile *file, const char *call, struct reply *reply)
{
	return device_post(file, file->shared->id, call, "", reply);
}

static int get_status(struct vfile *file, uint64_t arg)
{
	struct vfio_group_status status;
	struct reply reply;

	if (from_user(&status, arg, sizeof(status)))
		return -1;
	if (status.argsz < sizeof(status))
		return fails(EINVAL);
	int result = post(file, "group-status", &reply);

	status.flags = json_u64(json_get(reply.body, "value"));
	reply_end(&reply);
	return result ? result : to_user(arg, &status, sizeof(status));
}

static int set_container(struct vfile *file, uint64_t arg)
{
	struct reply reply;
	char args[192];
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
	/* Where they are not in the same name one of them came in a message: whoever has the group makes the call. */
	bool same = !strcmp(file_holder(container), file_holder(file));

	snprintf(args, sizeof(args), "\"container\":\"%s\"%s%s%s", container->shared->id, same ? ",\"process\":\"" : "",
		 same ? file_holder(file) : "", same ? "\"" : "");
	http_call_on(&reply, "device", file->shared->id, "set-container", args);
	int result = settle(&reply);

	reply_end(&reply);
	if (result == 0)
		strcpy(file->shared->container, container->shared->id);
	file_put(container);
	return result;
}

static int unset_container(struct vfile *file)
{
	struct reply reply;
	int result = post(file, "unset-container", &reply);

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
	char name[NAME_MAX_KERNEL], known_as[ID_SIZE];

	if (name_from_user(name, arg))
		return -1;
	if (!device_named(file->shared->group, name, &made, known_as))
		return fails(ENODEV);
	int result = device_post(file, made.id, "open-device", "", &reply);

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

		device_post(file, made.id, "close-device", "", &reply);
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
