/*
 * What a guest sees on an image, through qemu-nbd: read only, and with every
 * layer that the image stands on.
 *
 * The protocol is that of NetworkBlockDevice/nbd, doc/proto.md: fixed newstyle
 * handshake, NBD_OPT_GO, simple replies.
 */
#ifndef DAEMON_NBD_H
#define DAEMON_NBD_H

#include <stddef.h>
#include <stdint.h>

#include "recorder/error.h"

#define NBD_READ_MAX (1u << 20)

struct nbd;

/* Starts it, at the lowest priority. -EBUSY when a guest writes to it. */
int nbd_open(struct nbd **nbd, const char *path, const char *format,
	     struct error *error);
void nbd_close(struct nbd *nbd);

uint64_t nbd_size(const struct nbd *nbd);

/* Asks for bytes, NBD_READ_MAX at most; then its answer, before the next. */
int nbd_ask(struct nbd *nbd, uint64_t at, uint32_t size, struct error *error);
int nbd_answer(struct nbd *nbd, void *data, uint32_t size,
	       struct error *error);

#endif
