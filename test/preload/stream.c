/*
 * Maps and unmaps a page, over and over. Each argument is a number of times, after which it says how often that went wrong and waits
 * for a line. With `threads` in front, so many threads do it at once.
 */
#include "check.h"
#include <pthread.h>
#include <stdbool.h>

static int container;

static void *loop(void *arg)
{
	static uint64_t areas;
	uint64_t iova = __atomic_add_fetch(&areas, 1, __ATOMIC_SEQ_CST) << 20;
	void *at = memory(PAGE);
	long wrong = 0;

	for (long n = (long)arg; n > 0; n--) {
		wrong += map(container, iova, at, PAGE, 3) != 0;
		/* What is refused is answered at length. */
		wrong += map(container, iova, at, PAGE, 3) != -1 || errno != EEXIST;
		wrong += unmap(container, iova, PAGE, 0) != PAGE;
	}
	return (void *)wrong;
}

static void in_threads(int n)
{
	pthread_t threads[64];
	long wrong = 0;

	for (int i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, loop, (void *)50);
	for (int i = 0; i < n; i++) {
		void *result;

		pthread_join(threads[i], &result);
		wrong += (long)result;
	}
	show("wrong", wrong);
}

int main(int argc, char **argv)
{
	int group;
	bool threads = argc > 2 && !strcmp(argv[1], "threads");

	container = attached(&group, 0, VFIO_TYPE1v2_IOMMU);
	for (int i = threads ? 2 : 1; i < argc; i++) {
		if (threads)
			in_threads(atoi(argv[i]));
		else
			show("wrong", (long)loop((void *)atol(argv[i])));
		getchar();
	}
	return 0;
}
