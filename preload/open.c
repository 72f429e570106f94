/* Opening /dev/vfio/vfio (a container) and /dev/vfio/N (a group). */
#include "shim.h"
#include <limits.h>
#include <sys/syscall.h>

static int open_container(int flags)
{
	struct shared made = { .kind = CONTAINER };
	struct reply reply;
	char body[128];
	int fd = -1;

	snprintf(body, sizeof(body), "{\"process\":\"%s\"}", current_process());
	http_call(&reply, "POST", "/v1/containers", body);
	if (settle(&reply) == 0)
		json_string(json_get(reply.body, "container"), made.id, sizeof(made.id));
	reply_end(&reply);
	if (!*made.id)
		return -1;
	fd = file_install(&made, flags & O_CLOEXEC);
	if (fd < 0) {
		int error = errno;

		snprintf(body, sizeof(body), "/v1/containers/%s", made.id);
		http_call(&reply, "DELETE", body, NULL);
		reply_end(&reply);
		errno = error;
	}
	return fd;
}

static int open_group(unsigned number, int flags)
{
	struct shared made;
	struct reply reply;
	char path[160], body[ID_SIZE + 16];

	if (!device_of_group(number, &made))
		return fails(ENOENT);
	made.kind = GROUP;
	snprintf(path, sizeof(path), "/v1/devices/%s/open-group", made.id);
	snprintf(body, sizeof(body), "{\"process\":\"%s\"}", current_process());
	http_call(&reply, "POST", path, body);
	int result = settle(&reply);

	reply_end(&reply);
	if (result)
		return -1;
	result = file_install(&made, flags & O_CLOEXEC);
	if (result < 0) {
		int error = errno;

		snprintf(path, sizeof(path), "/v1/devices/%s/close-group", made.id);
		http_call(&reply, "POST", path, body);
		reply_end(&reply);
		errno = error;
	}
	return result;
}

/* Opens a node below /dev/vfio. Returns a descriptor, or -1 and errno as open does. */
int vfio_open(const char *node, int flags)
{
	unsigned number;
	char more;
	int fd;

	if (!strcmp(node, "vfio")) {
		fd = open_container(flags);
		account("open /dev/vfio/vfio", fd < 0 ? errno : 0);
		return fd;
	}
	if (!strncmp(node, "noiommu-", 8))
		node += 8;
	if (*node < '0' || *node > '9' || sscanf(node, "%u%c", &number, &more) != 1)
		return fails(ENOENT);
	fd = open_group(number, flags);
	account("open /dev/vfio/GROUP", fd < 0 ? errno : 0);
	return fd;
}

/* /dev/iommu: where iommufd serves containers, it is one. The service has no calls for what it is besides. */
static int open_iommufd(int flags)
{
	int fd = -1;

	if (kernel_has_iommufd_containers())
		fd = open_container(flags);
	else
		fails(ENOENT);
	if (fd < 0 && errno == ENOENT)
		say("/dev/iommu is not there: it is on kernel 6.12-iommufd");
	account("open /dev/iommu", fd < 0 ? errno : 0);
	return fd;
}

int on_open(int directory, const char *path, int flags, mode_t mode)
{
	char buffer[PATH_MAX];
	const char *node = vfio_node(directory, path);
	struct stat st;

	if (node && !(flags & (O_DIRECTORY | O_PATH))) {
		if (!strcmp(node, "iommu"))
			return open_iommufd(flags);
		if (!strchr(node, '/'))
			return vfio_open(node, flags);
		if (strncmp(node, "devices", 7))
			return fails(ENOENT);
		if (!REAL(stat)(redirect(path, buffer), &st) && S_ISDIR(st.st_mode))
			return REAL(openat)(directory, redirect(path, buffer), flags, mode);
		say("%s is not there: devices have no file of their own here, use the group's", path);
		account("open /dev/vfio/devices", ENOENT);
		return fails(ENOENT);
	}
	return REAL(openat)(directory, redirect(path, buffer), flags, mode);
}
