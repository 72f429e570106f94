/* HTTP/1.1: requests, and their answers. */
#include "http.h"
#include <sys/socket.h>

#define REQUEST 16384

/* Receives one response whole. */
static bool receive(struct connection *c, struct reply *reply)
{
	size_t have = 0, want = 0;
	char *end = NULL;

	for (;;) {
		if (have + 1 >= c->size) {
			size_t offset = end ? end - c->buffer : 0;

			if (!make_room(c))
				return false;
			end = end ? c->buffer + offset : NULL;
			continue;
		}
		ssize_t n = recv(c->fd, c->buffer + have, c->size - 1 - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		have += n;
		c->buffer[have] = 0;
		if (!end) {
			end = memmem(c->buffer, have, "\r\n\r\n", 4);
			if (!end)
				continue;
			const char *length = header(c->buffer, end, "\r\ncontent-length:");

			want = end + 4 - c->buffer + (length ? strtoul(length, NULL, 10) : 0);
		}
		if (have >= want)
			break;
	}
	reply->status = atoi(c->buffer + strlen("HTTP/1.1 "));
	reply->body = end + 4;
	const char *keep = header(c->buffer, end, "\r\nconnection:");

	if (keep && !strncasecmp(keep, " close", 6))
		hang_up(c);
	return true;
}

/* Writes a request out; returns its size. What is asked is no longer than REQUEST has room for (paths, and a few numbers). */
static size_t write_request(char *request, const char *method, const char *path, const char *json)
{
	size_t length = json ? strlen(json) : 0;
	char *at = stpcpy(request, method);

	*at++ = ' ';
	at = stpcpy(at, path);
	at = stpcpy(at, " HTTP/1.1\r\n");
	at = stpcpy(at, http_headers);
	if (json)
		at = stpcpy(at, "Content-Type: application/json\r\n");
	if (json || *method != 'G')
		at += sprintf(at, "Content-Length: %zu\r\n", length);
	at = stpcpy(at, "\r\n");
	if (json)
		memcpy(at, json, length);
	return at + length - request;
}

/*
 * Makes a request and waits for its response, as long as it takes: a call that waits in the kernel waits here. Without one the
 * program ends.
 */
void http_call(struct reply *reply, const char *method, const char *path, const char *json)
{
	struct connection *c = take_connection(false);
	char request[REQUEST], to[192];
	int kept = errno;
	size_t size = write_request(request, method, path, json);

	for (bool fresh = false; !fresh;) {
		if (c->batch)
			stream_end(c);
		/* A connection that was idle may have been closed meanwhile; nothing of the request was read then. */
		fresh = c->fd < 0;
		if (fresh && !dial(c)) {
			/* Where the program has used up its descriptors there is a connection already. */
			struct connection *open = errno == EMFILE || errno == ENFILE ? swap_for_open(c) : NULL;

			if (!open)
				break;
			c = open;
			fresh = false;
			continue;
		}
		reply->connection = c;
		if (send_all(c->fd, request, size) && receive(c, reply)) {
			errno = kept;
			return;
		}
		hang_up(c);
	}
	snprintf(to, sizeof(to), "%s %s", method, path);
	no_answer(to);
}

/*
 * Makes a call on a container or a device (`on`): in a batch that goes on, or where there is none as a request of its own. `args` are
 * its arguments, as the fields of a JSON object.
 */
void http_call_on(struct reply *reply, const char *on, const char *id, const char *call, const char *args)
{
	char path[192], json[CALL_SIZE];

	if (stream_call(reply, on, id, call, args))
		return;
	snprintf(path, sizeof(path), "/v1/%ss/%s/%s", on, id, call);
	snprintf(json, sizeof(json), "{%s}", args);
	http_call(reply, "POST", path, json);
}

/* Gives the connection back, where there was a call; the reply's body is gone. */
void reply_end(struct reply *reply)
{
	if (reply->connection)
		give_connection(reply->connection);
}
