/*
 * How fast a C program maps and unmaps through the library, against GET /health over one keep-alive connection to the
 * same Unix socket. Both alternate; each line of output is a round: calls a second, requests a second.
 *
 * usage: map-loop ROUNDS SECONDS, in a run with group 0
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void check(int failed, const char *what)
{
	if (!failed)
		return;
	perror(what);
	exit(1);
}

static int dial(void)
{
	const char *url = getenv("VFIO_HOST_URL");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(to.sun_path, url + strlen("unix:"), sizeof(to.sun_path) - 1);
	check(connect(fd, (struct sockaddr *)&to, sizeof(to)), url);
	return fd;
}

static double health(int fd, double seconds)
{
	static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
	char answer[4096], *end_of_head, *length;
	double start = now(), end = start;
	long n = 0;

	for (; end - start < seconds; end = now(), n++) {
		size_t have = 0, want = sizeof(answer);

		check(write(fd, request, sizeof(request) - 1) < 0, "write");
		do {
			ssize_t k = read(fd, answer + have, sizeof(answer) - 1 - have);

			check(k <= 0, "read");
			answer[have += k] = 0;
			end_of_head = strstr(answer, "\r\n\r\n");
			length = strcasestr(answer, "content-length:");
			if (end_of_head && length)
				want = end_of_head + 4 - answer + strtoul(length + strlen("content-length:"), NULL, 10);
		} while (have < want);
	}
	return n / (end - start);
}

static double maps(int container, void *at, double seconds)
{
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map), .flags = 3, .vaddr = (uintptr_t)at, .size = PAGE };
	double start = now(), end = start;
	long n = 0;

	for (; end - start < seconds; end = now(), n += 2) {
		struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap), .size = PAGE };

		check(ioctl(container, VFIO_IOMMU_MAP_DMA, &map), "map");
		check(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap), "unmap");
	}
	return n / (end - start);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 5, fd = dial();
	double seconds = argc > 2 ? atof(argv[2]) : 1;
	int container = open("/dev/vfio/vfio", O_RDWR), group = open("/dev/vfio/0", O_RDWR);
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	check(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container), "set-container");
	check(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), "set-iommu");
	maps(container, at, seconds / 2);
	health(fd, seconds / 2);
	for (int i = 0; i < rounds; i++) {
		double calls = maps(container, at, seconds);

		printf("%.0f %.0f\n", calls, health(fd, seconds));
		fflush(stdout);
	}
	return 0;
}
