/*
 * HTTP/1.1 to the service, over a Unix or a TCP socket. Connections are kept and shared by the threads: one takes
 * a free one, or opens another; a forked child opens its own.
 */
#include "shim.h"
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONNECTIONS 64
#define BUFFER 65536
#define REQUEST 16384

struct connection {
	int fd; /* -1: closed */
	bool taken;
	char *buffer;
	size_t size;
};

static struct connection pool[CONNECTIONS] = { [0 ... CONNECTIONS - 1] = { .fd = -1 } };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static char host[256], port[16], headers[512];

/*
 * Where the service is: unix:PATH, or http://HOST:PORT.
 *
 * false where it is neither.
 */
bool http_configure(const char *url, const char *rig)
{
	char token[300] = "", named[128] = "";
	const char *secret = setting("VFIO_HOST_TOKEN");

	if (!strncmp(url, "unix:", 5)) {
		if (strlen(url + 5) >= sizeof(socket_path))
			return false;
		strcpy(socket_path, url + 5);
		strcpy(host, "localhost");
	} else if (!strncmp(url, "http://", 7)) {
		size_t length = strcspn(url + 7, ":/");

		if (length == 0 || length >= sizeof(host))
			return false;
		memcpy(host, url + 7, length);
		snprintf(port, sizeof(port), "%d", url[7 + length] == ':' ? atoi(url + 8 + length) : 80);
	} else {
		return false;
	}
	if (*rig)
		snprintf(named, sizeof(named), "X-Rig: %s\r\n", rig);
	if (secret)
		snprintf(token, sizeof(token), "Authorization: Bearer %s\r\n", secret);
	snprintf(headers, sizeof(headers), "Host: %s%s%s\r\n%s%s", host, *port ? ":" : "", port, named, token);
	return true;
}

/* A descriptor out of the way of those the program gets: programs count on small numbers, or close what they know. */
int move_high(int fd)
{
	struct rlimit limit;
	int from = 900, moved;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur > 256)
		from = limit.rlim_cur > 65536 ? 65000 : (int)limit.rlim_cur - 160;
	moved = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, from);
	if (moved < 0)
		return fd;
	REAL(close)(fd);
	return moved;
}

static int dial_unix(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(to.sun_path, socket_path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to))) {
		REAL(close)(fd);
		return -1;
	}
	return fd;
}

static int dial_tcp(void)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found, *at;
	int fd = -1, one = 1;

	if (getaddrinfo(host, port, &hints, &found))
		return -1;
	for (at = found; at && fd < 0; at = at->ai_next) {
		fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen)) {
			REAL(close)(fd);
			fd = -1;
		}
	}
	freeaddrinfo(found);
	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static bool dial(struct connection *c)
{
	c->fd = *socket_path ? dial_unix() : dial_tcp();
	if (c->fd >= 0)
		c->fd = move_high(c->fd);
	return c->fd >= 0;
}

static void hang_up(struct connection *c)
{
	if (c->fd >= 0)
		REAL(close)(c->fd);
	c->fd = -1;
}

/* A connection that no other thread uses: an open one first. */
static struct connection *take(void)
{
	struct connection *found = NULL;

	pthread_mutex_lock(&lock);
	while (!found) {
		for (int i = 0; i < CONNECTIONS; i++) {
			if (pool[i].taken)
				continue;
			if (!found || (found->fd < 0 && pool[i].fd >= 0))
				found = &pool[i];
			if (found->fd >= 0)
				break;
		}
		if (!found)
			pthread_cond_wait(&freed, &lock);
	}
	found->taken = true;
	pthread_mutex_unlock(&lock);
	return found;
}

static bool send_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = send(fd, text, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		size -= n;
	}
	return true;
}

/* The value of a header; NULL where there is none before `end`. */
static const char *header(const char *head, const char *end, const char *name)
{
	const char *at = strcasestr(head, name);

	return at && at < end ? at + strlen(name) : NULL;
}

/* Receives one response whole. */
static bool receive(struct connection *c, struct reply *reply)
{
	size_t have = 0, want = 0;
	char *end = NULL;

	for (;;) {
		if (have + 1 >= c->size) {
			size_t offset = end ? end - c->buffer : 0;
			char *bigger = realloc(c->buffer, c->size ? c->size * 2 : BUFFER);

			if (!bigger)
				return false;
			c->buffer = bigger;
			c->size = c->size ? c->size * 2 : BUFFER;
			if (end)
				end = bigger + offset;
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
	at = stpcpy(at, headers);
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
 * Makes a request and waits for its response, as long as it takes: a call that waits in the kernel waits here.
 * The program cannot go on without its kernel: where there is no answer it ends (exit code 69, EX_UNAVAILABLE).
 */
void http_call(struct reply *reply, const char *method, const char *path, const char *json)
{
	struct connection *c = take();
	char request[REQUEST];
	int kept = errno;
	size_t size = write_request(request, method, path, json);

	reply->connection = c;
	for (bool fresh = false; !fresh;) {
		/* A connection that was idle may have been closed meanwhile; nothing of the request was read then. */
		fresh = c->fd < 0;
		if (fresh && !dial(c))
			break;
		if (send_all(c->fd, request, size) && receive(c, reply)) {
			errno = kept;
			return;
		}
		hang_up(c);
	}
	say("no answer to %s %s from %s%s%s: %s", method, path, *socket_path ? socket_path : host, *port ? ":" : "",
	    port, strerror(errno));
	REAL(_exit)(69);
}

/* Gives the connection back, where there was a call; the reply's body is gone. */
void reply_end(struct reply *reply)
{
	struct connection *c = reply->connection;

	if (!c)
		return;
	pthread_mutex_lock(&lock);
	c->taken = false;
	pthread_cond_signal(&freed);
	pthread_mutex_unlock(&lock);
}

bool http_owns(int fd)
{
	for (int i = 0; i < CONNECTIONS; i++)
		if (pool[i].fd == fd)
			return fd >= 0;
	return false;
}

void http_before_fork(void)
{
	pthread_mutex_lock(&lock);
}

void http_after_fork(bool child)
{
	for (int i = 0; child && i < CONNECTIONS; i++) {
		hang_up(&pool[i]);
		pool[i].taken = false;
	}
	pthread_mutex_unlock(&lock);
}
