/*
 * Digests of an image by several threads; see digest_image.h.
 *
 * The disk is cut into spans of some blocks. A thread takes the next span,
 * hashes its blocks and puts the leaves into a ring, from which the calling
 * thread writes them in order. The ring is what threads may be ahead.
 */
#include "daemon/digest_image.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "daemon/disk.h"
#include "daemon/nbd.h"

#define SPAN 16 /* blocks: 4 MiB */
#define RING 64 /* spans */
#define THREADS_MAX 16

enum source {
	SOURCE_ZERO,
	SOURCE_FILE,  /* at an offset of the file of its depth */
	SOURCE_OTHER, /* compressed: by qemu-nbd */
};

struct extent {
	uint64_t start, end, offset;
	unsigned depth;
	enum source source;
};

struct slot {
	uint64_t span; /* that it holds, counted from 1; 0: none yet */
	uint64_t read; /* bytes */
	uint8_t leaves[SPAN][DIGEST_SIZE];
};

struct make {
	const struct digest_image *image;
	struct extent *extents;
	size_t extent_count;
	int *fds; /* of image->paths */
	uint8_t zero[DIGEST_SIZE];
	uint64_t first, blocks; /* the first to be done; all */
	pthread_mutex_t lock;
	pthread_cond_t moved; /* a span was done, or written */
	uint64_t taken, written, spans;
	bool stop;
	int failed;
	struct error error; /* of the first thread that failed */
	struct slot ring[RING];
};

struct worker {
	struct make *make;
	pthread_t thread;
	struct nbd *nbd; /* when something is compressed */
	size_t extent;   /* at which it is; blocks rise */
	EVP_MD_CTX *context;
	uint8_t block[DIGEST_BLOCK];
};

/* --- where bytes are --------------------------------------------------- */

static bool read_extent(const json_t *json, unsigned files, struct extent *e)
{
	const json_t *offset = json_object_get(json, "offset");
	json_int_t start = json_integer_value(json_object_get(json, "start"));
	json_int_t length = json_integer_value(json_object_get(json, "length"));
	json_int_t depth = json_integer_value(json_object_get(json, "depth"));

	if (start < 0 || length <= 0 || depth < 0)
		return false;
	e->start = (uint64_t)start;
	e->end = e->start + (uint64_t)length;
	e->depth = (unsigned)depth;
	e->offset = (uint64_t)json_integer_value(offset);
	e->source = json_is_true(json_object_get(json, "zero")) ? SOURCE_ZERO
		    : offset && depth < (json_int_t)files       ? SOURCE_FILE
								: SOURCE_OTHER;
	return true;
}

/* All of the disk, in order and without gaps. */
static int read_map(struct make *m, struct error *error)
{
	const struct digest_image *image = m->image;
	uint64_t end = 0;
	json_t *json, *one;
	char *text;
	size_t i;
	int r = disk_map(image->paths[0], image->format, &text, error);

	if (r)
		return r;
	json = json_loads(text, 0, NULL);
	free(text);
	m->extents = calloc(json_array_size(json) + 1, sizeof(*m->extents));
	if (!m->extents)
		r = error_set(error, -ENOMEM, "no memory");
	json_array_foreach(json, i, one)
	{
		struct extent *e = &m->extents[m->extent_count++];

		if (r || !read_extent(one, image->path_count, e) ||
		    e->start != end)
			break;
		end = e->end;
	}
	json_decref(json);
	if (!r && end != image->size)
		r = error_set(error, -EIO,
			      "image %s: it has not the size that it had",
			      image->paths[0]);
	return r;
}

static int open_files(struct make *m, struct error *error)
{
	const struct digest_image *image = m->image;

	m->fds = calloc(image->path_count, sizeof(*m->fds));
	if (!m->fds)
		return error_set(error, -ENOMEM, "no memory");
	for (unsigned i = 0; i < image->path_count; i++)
		m->fds[i] = -1;
	for (unsigned i = 0; i < image->path_count; i++) {
		m->fds[i] = open(image->paths[i], O_RDONLY | O_CLOEXEC);
		if (m->fds[i] < 0)
			return error_errno(error, errno, "can't read %s",
					   image->paths[i]);
		if (image->from_medium)
			posix_fadvise(m->fds[i], 0, 0, POSIX_FADV_DONTNEED);
	}
	return 0;
}

/* --- one block --------------------------------------------------------- */

static int read_file(struct worker *w, const struct extent *e, uint64_t from,
		     size_t size, uint8_t *to, struct error *error)
{
	const struct digest_image *image = w->make->image;
	int fd = w->make->fds[e->depth];
	off_t at = (off_t)(e->offset + (from - e->start)), begin = at;
	size_t left = size;

	while (left) {
		ssize_t n = pread(fd, to, left, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(error, n ? errno : EIO,
					   "%s can't be read at byte %lld",
					   image->paths[e->depth],
					   (long long)at);
		to += n;
		at += n;
		left -= (size_t)n;
	}
	if (image->from_medium)
		posix_fadvise(fd, begin, (off_t)size, POSIX_FADV_DONTNEED);
	return 0;
}

static int read_other(struct worker *w, uint64_t from, size_t size, uint8_t *to,
		      struct error *error)
{
	const struct digest_image *image = w->make->image;
	int r = 0;

	if (!w->nbd)
		r = nbd_open(&w->nbd, image->paths[0], image->format, error);
	if (!r && from + size > nbd_size(w->nbd))
		r = error_set(error, -EIO, "image %s has another size",
			      image->paths[0]);
	if (!r)
		r = nbd_ask(w->nbd, from, (uint32_t)size, error);
	return r ? r : nbd_answer(w->nbd, to, (uint32_t)size, error);
}

/* Whether all of it is zero, or all of it is from below. */
static bool is_all(struct worker *w, uint64_t to, bool below)
{
	const struct make *m = w->make;

	for (size_t i = w->extent; m->extents[i].start < to; i++) {
		const struct extent *e = &m->extents[i];

		if (below ? e->depth == 0 : e->source != SOURCE_ZERO)
			return false;
		if (e->end >= to)
			break;
	}
	return true;
}

static int read_block(struct worker *w, uint64_t from, uint64_t to,
		      uint64_t *read, struct error *error)
{
	const struct make *m = w->make;
	int r = 0;

	for (size_t i = w->extent; !r && from < to; i++) {
		const struct extent *e = &m->extents[i];
		size_t size = (size_t)((e->end < to ? e->end : to) - from);
		uint8_t *at = w->block + (from % DIGEST_BLOCK);

		if (e->source == SOURCE_ZERO) {
			memset(at, 0, size);
		} else {
			r = e->source == SOURCE_FILE
				    ? read_file(w, e, from, size, at, error)
				    : read_other(w, from, size, at, error);
			*read += size;
		}
		from += size;
	}
	return r;
}

static int hash_block(struct worker *w, uint64_t i, uint64_t *read,
		      uint8_t digest[DIGEST_SIZE], struct error *error)
{
	const struct make *m = w->make;
	const struct digest_image *image = m->image;
	uint64_t from = i * DIGEST_BLOCK, to = from + DIGEST_BLOCK;
	const uint8_t *leaf =
		image->below ? digest_tree_leaf(image->below, i) : NULL;
	int r;

	if (to > image->size)
		to = image->size;
	while (m->extents[w->extent].end <= from)
		w->extent++;
	if (to - from == DIGEST_BLOCK && is_all(w, to, false)) {
		memcpy(digest, m->zero, DIGEST_SIZE);
		return 0;
	}
	if (leaf && is_all(w, to, true)) {
		memcpy(digest, leaf, DIGEST_SIZE);
		return 0;
	}
	r = read_block(w, from, to, read, error);
	if (!r && !(EVP_DigestInit_ex(w->context, EVP_sha256(), NULL) &&
		    EVP_DigestUpdate(w->context, w->block, to - from) &&
		    EVP_DigestFinal_ex(w->context, digest, NULL)))
		r = error_set(error, -EIO, "no SHA-256");
	return r;
}

/* --- threads ----------------------------------------------------------- */

/* The number of a span, or m->spans when there is nothing more to do. */
static uint64_t take_span(struct make *m)
{
	uint64_t n;

	pthread_mutex_lock(&m->lock);
	while (!m->stop && m->taken < m->spans && m->taken >= m->written + RING)
		pthread_cond_wait(&m->moved, &m->lock);
	n = m->stop || m->taken == m->spans ? m->spans : m->taken++;
	pthread_mutex_unlock(&m->lock);
	return n;
}

static int do_span(struct worker *w, uint64_t n, struct error *error)
{
	struct make *m = w->make;
	struct slot *slot = &m->ring[n % RING];
	uint64_t from = m->first + n * SPAN;
	int r = 0;

	slot->read = 0;
	for (unsigned i = 0; !r && i < SPAN && from + i < m->blocks; i++)
		r = hash_block(w, from + i, &slot->read, slot->leaves[i],
			       error);
	return r;
}

static void *work(void *data)
{
	struct worker *w = data;
	struct make *m = w->make;
	struct error error = {0};
	uint64_t n;
	int r = 0;

	w->context = EVP_MD_CTX_new();
	if (!w->context)
		r = error_set(&error, -ENOMEM, "no memory");
	while (!r && (n = take_span(m)) < m->spans) {
		r = do_span(w, n, &error);
		pthread_mutex_lock(&m->lock);
		if (!r)
			m->ring[n % RING].span = n + 1;
		pthread_cond_broadcast(&m->moved);
		pthread_mutex_unlock(&m->lock);
	}
	EVP_MD_CTX_free(w->context);
	nbd_close(w->nbd);
	if (r) {
		pthread_mutex_lock(&m->lock);
		if (!m->failed)
			m->error = error;
		m->failed = m->failed ? m->failed : r;
		m->stop = true;
		pthread_cond_broadcast(&m->moved);
		pthread_mutex_unlock(&m->lock);
	}
	return NULL;
}

/* Waits for a span and gives its leaves to the tree. */
static int write_span(struct make *m, struct digest_writer *writer, uint64_t n,
		      uint64_t *read, struct error *error)
{
	struct slot *slot = &m->ring[n % RING];
	uint64_t from = m->first + n * SPAN;
	int r = 0;

	pthread_mutex_lock(&m->lock);
	while (slot->span != n + 1 && !m->failed)
		pthread_cond_wait(&m->moved, &m->lock);
	if (slot->span != n + 1)
		r = error_set(error, m->failed, "%s", m->error.text);
	pthread_mutex_unlock(&m->lock);
	for (unsigned i = 0; !r && i < SPAN && from + i < m->blocks; i++)
		r = digest_writer_leaf(writer, slot->leaves[i], error);
	*read += slot->read;
	pthread_mutex_lock(&m->lock);
	m->written++;
	m->stop = m->stop || r;
	pthread_cond_broadcast(&m->moved);
	pthread_mutex_unlock(&m->lock);
	return r;
}

static int write_spans(struct make *m, struct digest_writer *writer,
		       struct error *error)
{
	const struct digest_image *image = m->image;
	uint64_t read = 0;
	int r = 0;

	for (uint64_t n = 0; !r && n < m->spans; n++) {
		uint64_t done = (m->first + (n + 1) * SPAN) * DIGEST_BLOCK;

		r = write_span(m, writer, n, &read, error);
		if (!r && image->tell)
			r = image->tell(image->data,
					done < image->size ? done : image->size,
					read, error);
	}
	return r;
}

static unsigned count_threads(const struct make *m)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned n = m->image->threads;

	if (!n)
		n = cores > 0 ? (unsigned)cores : 1;
	if (n > THREADS_MAX)
		n = THREADS_MAX;
	return n < m->spans ? n : (unsigned)m->spans;
}

static int run(struct make *m, struct digest_writer *writer,
	       struct error *error)
{
	unsigned count = count_threads(m), started = 0;
	struct worker *workers = calloc(count + 1, sizeof(*workers));
	int r = workers ? 0 : error_set(error, -ENOMEM, "no memory");

	for (; !r && started < count; started++) {
		workers[started].make = m;
		r = pthread_create(&workers[started].thread, NULL, work,
				   &workers[started]);
		if (r) {
			r = error_errno(error, r, "can't start a thread");
			break;
		}
	}
	if (!r)
		r = write_spans(m, writer, error);
	pthread_mutex_lock(&m->lock);
	m->stop = true;
	pthread_cond_broadcast(&m->moved);
	pthread_mutex_unlock(&m->lock);
	for (unsigned i = 0; i < started; i++)
		pthread_join(workers[i].thread, NULL);
	free(workers);
	return r;
}

static int prepare(struct make *m, struct error *error)
{
	void *zeros = calloc(1, DIGEST_BLOCK);
	int r = zeros ? 0 : error_set(error, -ENOMEM, "no memory");

	if (!r &&
	    !EVP_Digest(zeros, DIGEST_BLOCK, m->zero, NULL, EVP_sha256(), NULL))
		r = error_set(error, -EIO, "no SHA-256");
	free(zeros);
	if (!r)
		r = open_files(m, error);
	return r ? r : read_map(m, error);
}

int digest_image_make(const struct digest_image *image, int fd,
		      struct error *error)
{
	struct make *m = calloc(1, sizeof(*m));
	struct digest_writer *writer = NULL;
	int r;

	if (!m)
		return error_set(error, -ENOMEM, "no memory");
	m->image = image;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->moved, NULL);
	m->blocks =
		image->size / DIGEST_BLOCK + (image->size % DIGEST_BLOCK != 0);
	r = digest_writer_open(&writer, fd, image->size, &m->first, error);
	if (!r)
		r = prepare(m, error);
	if (!r) {
		m->spans = (m->blocks - m->first + SPAN - 1) / SPAN;
		r = run(m, writer, error);
	}
	if (!r)
		r = digest_writer_finish(writer, error);
	digest_writer_free(writer);
	for (unsigned i = 0; m->fds && i < image->path_count; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	free(m->fds);
	free(m->extents);
	pthread_cond_destroy(&m->moved);
	pthread_mutex_destroy(&m->lock);
	free(m);
	return r;
}
