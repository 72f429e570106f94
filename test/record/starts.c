/*
 * Opens a container and a group, and starts itself again with them: by `exec`, `spawn` or `vfork`. What comes after is asked by the
 * program that was started. Its arguments are that, the number of a group and the descriptors.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/vfio.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What is open was opened before this program was. */
static int started(int container, int group)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)page, .size = 4096 };

	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) || ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) ||
	    ioctl(container, VFIO_IOMMU_MAP_DMA, &map))
		return 1;
	close(open("/dev/vfio/vfio", O_RDWR));
	return 5;
}

int main(int argc, char **argv)
{
	char numbers[2][16], *how = argv[1], *again[] = { argv[0], "started", numbers[0], numbers[1], NULL };
	char *bare[] = { NULL };
	int status;
	pid_t pid = 0;

	if (argc > 3 && !strcmp(how, "started"))
		return started(atoi(argv[2]), atoi(argv[3]));
	int container = open("/dev/vfio/vfio", O_RDWR), group = open(argv[2], O_RDWR);

	if (open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC) < 0 || container < 0 || group < 0)
		return 1;
	snprintf(numbers[0], 16, "%d", container);
	snprintf(numbers[1], 16, "%d", group);
	if (!strcmp(how, "exec")) {
		execv("/nonexistent", again);
		execve(argv[0], again, bare);
		return 1;
	}
	if (!strcmp(how, "vfork") && (pid = vfork()) == 0) {
		execv("/nonexistent", again);
		execv(argv[0], again);
		_exit(1);
	}
	if (!strcmp(how, "spawn")) {
		if (!posix_spawn(&pid, "/nonexistent", NULL, NULL, again, environ))
			return 1;
		if (posix_spawn(&pid, argv[0], NULL, NULL, again, environ))
			return 1;
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 1;
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .size = 4096 };

	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) ? 1 : WEXITSTATUS(status);
}
