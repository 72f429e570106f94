/* Opening a node of /dev/vfio. */
#include "record.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define FOLDER "/dev/vfio/"

/* Notes what opening a node came to. */
static void took(const char *path, int flags, int fd)
{
	int error = fd < 0 ? errno : 0;

	if (!path || strncmp(path, FOLDER, sizeof(FOLDER) - 1) || flags & (O_PATH | O_DIRECTORY))
		return;
	const char *node = path + sizeof(FOLDER) - 1;
	bool group = strspn(node + (strncmp(node, "noiommu-", 8) ? 0 : 8), "0123456789") > 0;
	char name[32] = "";

	if (strchr(node, '/') || strchr(node, '"') || strchr(node, '\\') || (strcmp(node, "vfio") && !group))
		return;
	if (fd >= 0)
		opened(fd, group ? GROUP : CONTAINER, name, sizeof(name));
	line("{\"e\":\"open\",\"node\":\"%s\",\"file\":\"%s\",\"errno\":%d}", node, name, error);
	errno = error;
}

int on_open(int directory, const char *path, int flags, mode_t mode)
{
	int fd = REAL(openat)(directory, path, flags, mode);

	took(path, flags, fd);
	return fd;
}
