/*
 * What the kernel does to its caller. Group 0 is an mdev "m0" whose driver ignores invalidations; it is told to pin from
 * outside while this program waits for a line on stdin.
 */
#include "check.h"
#include <pthread.h>

static int container;

static void *unmapping(void *arg)
{
	show("unmap", unmap(container, 0, PAGE, 0));
	return arg;
}

static void wait_for_a_line(void)
{
	char line[16];

	printf("ready\n");
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(1);
}

int main(int argc, char **argv)
{
	int g;
	pthread_t thread;
	char *at = memory(2 * PAGE);

	strcpy(at, "written by the program");
	container = attached(&g, 0, VFIO_TYPE1v2_IOMMU);
	int d = ioctl(g, VFIO_GROUP_GET_DEVICE_FD, "m0");

	show_ok("device", d);
	show("map", map(container, 0, at, PAGE, 3));
	if (argc > 1 && !strcmp(argv[1], "hole")) {
		munmap(at + PAGE, PAGE);
		show("map-hole", map(container, PAGE, at + PAGE, PAGE, 3));
	}
	wait_for_a_line();
	if (argc > 1 && !strcmp(argv[1], "memory")) {
		printf("memory %s\n", at);
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "hole"))
		return 0;
	if (argc > 1 && !strcmp(argv[1], "threads")) {
		pthread_create(&thread, NULL, unmapping, NULL);
		pthread_join(thread, NULL);
		show("others-go-on", 0);
		/* The lock is the dead thread's. */
		show("map-after", map(container, 0x100000, at, PAGE, 3));
		return 0;
	}
	unmapping(NULL);
	return 0;
}
