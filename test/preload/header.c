/* Headers of an answer's head that is all there is: the memory ends behind it. */
#include "check.h"
#include "../../preload/header.c"

#define HEAD "HTTP/1.1 200 OK\r\nDate: Thu\r\nTransfer-ENCODING: chunked"

int main(void)
{
	size_t length = strlen(HEAD);
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = pages + PAGE, *head = end - length;

	if (pages == MAP_FAILED || mprotect(end, PAGE, PROT_NONE))
		return 1;
	memcpy(head, HEAD, length);
	show("first", header(head, end, "\r\ndate:") - head);
	show("last", header(head, end, "\r\ntransfer-encoding:") - head);
	show("whole", header(head, end, "\r\ntransfer-encoding: chunked") == end);
	show("beyond", header(head, end, "\r\ntransfer-encoding: chunked\r\n") == NULL);
	show("none", header(head, end, "\r\nconnection:") == NULL);
	show("empty", header(end, end, "\r\ndate:") == NULL);
	return 0;
}
