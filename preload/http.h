/* What connection.c, http.c and stream.c share. */
#ifndef VFIO_HOST_HTTP_H
#define VFIO_HOST_HTTP_H

#include "shim.h"

/* A connection to the service, and what has come on it. */
struct connection {
	int fd; /* -1: closed */
	bool taken;
	bool alone; /* it is not of the pool, and of one request */
	bool streams; /* it has, or is about to have, a batch under way */
	char *buffer;
	size_t size;
	/* stream.c: */
	bool batch;	/* a batch is under way on it */
	unsigned lines; /* calls of that batch */
	/* Of the batch's answer: the line so far is `done` bytes long, and [raw, end) was not looked at. */
	size_t done, raw, end;
	size_t left; /* bytes of the chunk that were not looked at */
};

/* connection.c */
extern char http_headers[512];
bool dial(struct connection *c);
void hang_up(struct connection *c);
struct connection *take_connection(bool for_stream);
struct connection *swap_for_open(struct connection *c);
void give_connection(struct connection *c);
bool send_all(int fd, const char *text, size_t size);
bool make_room(struct connection *c);
void no_answer(const char *to) __attribute__((noreturn));

/* header.c */
const char *header(const char *head, const char *end, const char *name);

/* stream.c */
void stream_end(struct connection *c);
bool stream_call(struct reply *reply, const char *on, const char *id, const char *call, const char *args);

#endif
