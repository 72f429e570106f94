/*
 * Calls as lines of a batch that goes on (POST /v1/batch): each is sent when it is made, and its answer waited for. That costs the
 * service a fraction of a request. There is one call at a time on a connection.
 *
 * No call is made twice, and none is lost. The service has made the call of every line that it has answered, and where it ends a batch
 * says so in a last line (`ended`): then what has no answer was not made, and is sent again. Where a batch breaks off without
 * that, the service is gone.
 */
#include "http.h"
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

/* Calls of one batch; a service may have room for fewer, and says so. */
#define LINES 100000
/* How long a batch may take to begin, ms: something in between may hold back what it has until a request is whole. */
#define BEGIN_MS 2000
/* How long none is begun after a service that had no room for one, ms. */
#define REFUSED_MS 5000
/* A line that makes no call, and is answered. */
#define NO_CALL "{\"call\":\"await\",\"of\":\"-\"}\n"

enum heard { LINE, OVER, BROKEN, NOTHING };

/* From when on batches may be begun, ms; UINT64_MAX: never. */
static uint64_t begins_at;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

/* There is no batch here before that time. */
static void not_before(uint64_t time)
{
	__atomic_store_n(&begins_at, time, __ATOMIC_RELAXED);
}

/* Receives more, until `until` (0: what is there); LINE where something came. */
static enum heard receive(struct connection *c, uint64_t until)
{
	if (c->raw == c->end)
		c->raw = c->end = c->done;
	if (c->end == c->size && !make_room(c))
		return BROKEN;
	for (;;) {
		uint64_t now = until && until != UINT64_MAX ? now_ms() : 0;
		struct pollfd comes = { .fd = c->fd, .events = POLLIN };

		if (now && (now >= until || poll(&comes, 1, until - now) == 0))
			return NOTHING;
		ssize_t n = recv(c->fd, c->buffer + c->end, c->size - c->end, until == UINT64_MAX ? 0 : MSG_DONTWAIT);

		if (n > 0) {
			c->end += n;
			return LINE;
		}
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !until)
			return NOTHING;
		if (n == 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK))
			return BROKEN;
	}
}

/* Takes what has come out of its chunks, up to the end of a line, which is then at the head of the buffer. */
static enum heard unpack(struct connection *c)
{
	while (c->raw < c->end) {
		char *at = c->buffer + c->raw, *newline;
		size_t n = c->end - c->raw;

		if (!c->left) {
			newline = memchr(at, '\n', n);
			if (!newline)
				return NOTHING;
			c->raw += newline + 1 - at;
			/* The end of the chunk before. */
			if (*at == '\r')
				continue;
			c->left = strtoul(at, NULL, 16);
			if (!c->left)
				return OVER;
			continue;
		}
		if (n > c->left)
			n = c->left;
		newline = memchr(at, '\n', n);
		if (newline)
			n = newline + 1 - at;
		memmove(c->buffer + c->done, at, n);
		c->done += n;
		c->raw += n;
		c->left -= n;
		if (newline) {
			c->buffer[c->done - 1] = 0;
			c->done = 0;
			return LINE;
		}
	}
	return NOTHING;
}

static enum heard next_line(struct connection *c, uint64_t until)
{
	for (;;) {
		enum heard found = unpack(c);

		if (found == NOTHING)
			found = receive(c, until);
		else
			return found;
		if (found != LINE)
			return found;
	}
}

static unsigned status_of(const char *line)
{
	return json_u64(json_get(line, "status"));
}

/* Whether a line is no answer: the service has ended the batch. */
static bool is_end(const char *line)
{
	/* No call is answered 408. */
	return status_of(line) == 408 || json_get(line, "ended");
}

/* The head of the answer, up to its first line. */
static enum heard response_begins(struct connection *c, uint64_t until)
{
	char *end = NULL;

	while (!end) {
		enum heard found = receive(c, until);

		if (found != LINE)
			return found;
		end = memmem(c->buffer, c->end, "\r\n\r\n", 4);
	}
	const char *coding = header(c->buffer, end, "\r\ntransfer-encoding:");

	if (strncmp(c->buffer, "HTTP/1.1 200 ", 13) || !coding || strncasecmp(coding, " chunked", 8))
		return OVER;
	c->raw = end + 4 - c->buffer;
	return next_line(c, until);
}

/* Begins a batch on a connection. */
static enum heard begin_on(struct connection *c)
{
	char request[1024];
	size_t line = strlen(NO_CALL);
	int n = snprintf(request, sizeof(request),
			 "POST /v1/batch HTTP/1.1\r\n%sContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "%zx\r\n" NO_CALL "\r\n",
			 http_headers, line);

	c->done = c->raw = c->end = c->left = c->lines = 0;
	if (!send_all(c->fd, request, n))
		return BROKEN;
	enum heard found = response_begins(c, now_ms() + BEGIN_MS);

	return found == LINE && is_end(c->buffer) ? OVER : found;
}

/* Begins a batch, on a new connection where the one that was kept was closed meanwhile. */
static bool begin(struct connection *c)
{
	enum heard found = BROKEN;

	for (bool fresh = false; !fresh && found == BROKEN;) {
		fresh = c->fd < 0;
		if (fresh && !dial(c))
			return false;
		found = begin_on(c);
		if (found == LINE)
			return c->batch = true;
		hang_up(c);
	}
	not_before(found == NOTHING ? UINT64_MAX : now_ms() + REFUSED_MS);
	return false;
}

/* Ends a batch: its connection takes other requests again, or is closed. */
void stream_end(struct connection *c)
{
	static const char last[] = "0\r\n\r\n";
	uint64_t until = now_ms() + BEGIN_MS;
	bool ended = send_all(c->fd, last, sizeof(last) - 1) && next_line(c, until) == OVER;

	/* Behind the last chunk of the answer there is an empty line. */
	while (ended && c->end - c->raw < 2)
		ended = receive(c, until) == LINE;
	c->batch = false;
	if (!ended)
		hang_up(c);
}

/* Whether the next call can be made in a batch. No call is under way on the connection, so that nothing is lost with it. */
static bool goes_on(struct connection *c)
{
	if (c->batch && next_line(c, 0) != NOTHING)
		hang_up(c);
	if (c->batch && c->lines >= LINES)
		stream_end(c);
	return c->batch || begin(c);
}

static size_t write_line(char *text, const char *on, const char *id, const char *call, const char *args)
{
	char line[CALL_SIZE + 256];
	int n = snprintf(line, sizeof(line), "{\"call\":\"%s\",\"%s\":\"%s\"%s%s}\n", call, on, id, *args ? "," : "", args);

	return sprintf(text, "%x\r\n%s\r\n", n, line);
}

/* Makes a call in a batch; false where there is none, and the call is not made. */
bool stream_call(struct reply *reply, const char *on, const char *id, const char *call, const char *args)
{
	uint64_t from = __atomic_load_n(&begins_at, __ATOMIC_RELAXED);
	char text[CALL_SIZE + 300];
	int kept = errno;

	if (from && now_ms() < from)
		return false;
	struct connection *c = take_connection(true);

	if (!c)
		return false;
	size_t size = write_line(text, on, id, call, args);

	while (goes_on(c)) {
		c->lines++;
		/* Where it cannot be sent, a last line may say why. */
		send_all(c->fd, text, size);
		if (next_line(c, UINT64_MAX) != LINE)
			no_answer(call);
		reply->status = status_of(c->buffer);
		if (reply->status >= 400 && is_end(c->buffer)) {
			hang_up(c);
			if (c->lines > 1)
				continue;
			not_before(now_ms() + REFUSED_MS);
			break;
		}
		/* A rig that was deleted is not the one of that name that comes after it. */
		if (reply->status == 503)
			hang_up(c);
		reply->body = (char *)json_get(c->buffer, "body");
		reply->connection = c;
		errno = kept;
		return true;
	}
	give_connection(c);
	errno = kept;
	return false;
}
