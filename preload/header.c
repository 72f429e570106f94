/* The head of an answer. */
#include "http.h"

/*
 * The value of a header, whose `name` is given with the line's end before it and its colon; NULL where there is none in [head, end).
 * Nothing from `end` on is read: what has come of an answer may be all that is in the buffer.
 */
const char *header(const char *head, const char *end, const char *name)
{
	ptrdiff_t length = strlen(name);

	for (const char *at = head; end - at >= length; at++)
		if (!strncasecmp(at, name, length))
			return at + length;
	return NULL;
}
