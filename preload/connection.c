/*
 * Connections to the service, over a Unix or a TCP socket. They are kept and shared by the threads: one takes a free
 * one, or opens another; a forked child opens its own, and a child of vfork, which has its parent's memory but other descriptors, one
 * for each request.
 */
#include "http.h"
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CONNECTIONS 64
#define BUFFER 65536
/* Batches under way at once: each takes one of the places that a service has for long requests. */
#define STREAMS 8

static struct connection pool[CONNECTIONS] = { [0 ... CONNECTIONS - 1] = { .fd = -1 } };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static char host[256], port[16];
/* What every request says. */
char http_headers[512];

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
	snprintf(http_headers, sizeof(http_headers), "Host: %s%s%s\r\n%s%s", host, *port ? ":" : "", port, named, token);
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

void hang_up(struct connection *c)
{
	if (c->fd >= 0)
		REAL(close)(c->fd);
	c->fd = -1;
	c->batch = false;
}

bool dial(struct connection *c)
{
	c->fd = *socket_path ? dial_unix() : dial_tcp();
	if (c->fd >= 0)
		c->fd = move_high(c->fd);
	return c->fd >= 0;
}

/* Whether a connection serves better than another one: it has a batch, or none, as is asked; it is open. */
static bool is_better(const struct connection *c, const struct connection *other, bool for_stream)
{
	if (!other || c->streams != other->streams)
		return !other || c->streams == for_stream;
	return c->fd >= 0 && other->fd < 0;
}

/* Whether this is a child of vfork: the pool's numbers are its parent's descriptors. */
static bool is_vforked(void)
{
	return own_pid && getpid() != own_pid;
}

static struct connection *make_alone(void)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		no_answer("a request that there is no memory for");
	c->fd = -1;
	c->alone = true;
	return c;
}

/*
 * A connection that no other thread uses, and its buffer, until it is given back. For a call in a batch: NULL where that would be a
 * batch too many.
 */
struct connection *take_connection(bool for_stream)
{
	struct connection *found = NULL;
	int streams = 0;

	if (is_vforked())
		return for_stream ? NULL : make_alone();
	pthread_mutex_lock(&lock);
	for (;;) {
		for (struct connection *c = pool; c < pool + CONNECTIONS; c++) {
			streams += c->streams;
			if (!c->taken && is_better(c, found, for_stream))
				found = c;
		}
		if (found || for_stream)
			break;
		pthread_cond_wait(&freed, &lock);
	}
	if (found && for_stream && !found->streams && streams >= STREAMS)
		found = NULL;
	if (found) {
		found->taken = true;
		found->streams |= for_stream;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

void give_connection(struct connection *c)
{
	if (c->alone) {
		hang_up(c);
		free(c->buffer);
		free(c);
		return;
	}
	pthread_mutex_lock(&lock);
	c->taken = false;
	c->streams = c->batch;
	pthread_cond_signal(&freed);
	pthread_mutex_unlock(&lock);
}

/* Closes the copy that a child of vfork has of one of its parent's connections, which an exec would close. */
static bool close_copy(void)
{
	for (struct connection *c = pool; c < pool + CONNECTIONS; c++)
		if (c->fd >= 0 && !REAL(close)(c->fd))
			return true;
	return false;
}

/*
 * Where there is no descriptor for a connection: gives it back and takes another one, that is open; NULL where none is free, and nothing
 * is given back. In a child of vfork the same one, that there is a descriptor for now.
 */
struct connection *swap_for_open(struct connection *c)
{
	struct connection *found = NULL;

	if (c->alone)
		return close_copy() ? c : NULL;
	pthread_mutex_lock(&lock);
	for (struct connection *other = pool; other < pool + CONNECTIONS && !found; other++)
		if (!other->taken && other->fd >= 0)
			found = other;
	if (found) {
		found->taken = true;
		c->taken = false;
		pthread_cond_signal(&freed);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

/* Room for more of an answer. */
bool make_room(struct connection *c)
{
	size_t size = c->size ? c->size * 2 : BUFFER;
	char *bigger = realloc(c->buffer, size);

	if (!bigger)
		return false;
	c->buffer = bigger;
	c->size = size;
	return true;
}

bool send_all(int fd, const char *text, size_t size)
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

/* The program cannot go on without its kernel: where there is no answer it ends (exit code 69, EX_UNAVAILABLE). */
void no_answer(const char *to)
{
	say("no answer to %s from %s%s%s: %s", to, *socket_path ? socket_path : host, *port ? ":" : "", port, strerror(errno));
	REAL(_exit)(69);
	__builtin_unreachable();
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
		pool[i].taken = pool[i].streams = false;
	}
	pthread_mutex_unlock(&lock);
}
