/*
 * Reading a bundle; see bundle_read.h.
 *
 * One thread reads records and judges their heads; workers verify bodies,
 * unpack them and write what is not zero. Records count as written in their
 * order, and after a sync, so that a journal of heads says how far it is.
 */
#include "daemon/bundle_read.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <zstd.h>

#include "recorder/bytes.h"

#define THREADS_MAX 8
#define SLOTS (3 * THREADS_MAX)
#define SYNC_STEP (UINT64_C(256) << 20) /* bytes of files between two syncs */

/* A file that is written to. */
struct target {
	int fd; /* -1: a check */
	unsigned refs;
};

struct slot {
	enum { FREE, TODO, DONE } state;
	struct target *target;
	struct bundle_head head;
	uint8_t raw[BUNDLE_HEAD];
	uint8_t *body, *data;
	uint32_t body_room, data_room;
	uint64_t at;      /* in the bundle */
	uint32_t written; /* bytes that were not zero */
	int r;
	struct error error;
};

struct work {
	const struct bundle_reader *options;
	const struct bundle_plan *plan;
	uint8_t plan_digest[BUNDLE_DIGEST];
	pthread_mutex_t lock;
	pthread_cond_t todo, done;
	bool ending;
	pthread_t threads[THREADS_MAX];
	unsigned thread_count, slot_count;
	struct slot slots[SLOTS];
	uint64_t filled, taken, emptied;
	uint64_t at;           /* in the bundle */
	struct target *target; /* of the file at hand, or NULL */
	unsigned file;         /* at hand */
	bool opened;
	uint64_t next; /* first byte of it that may come */
	uint64_t unsynced, records;
	struct buffer heads; /* not yet in the journal */
	/* What was written of the file of the last slot that was emptied. */
	unsigned told_file;
	uint64_t told, told_before;
	unsigned damaged; /* records, of a check */
	struct error damage;
	uint32_t *counts;
	uint8_t (*digests)[BUNDLE_DIGEST];
	EVP_MD_CTX *digest;
	unsigned digest_file;
	uint8_t manifest[BUNDLE_DIGEST];
};

uint64_t bundle_start(size_t plan_size)
{
	return BUNDLE_MAGIC_SIZE + BUNDLE_HEAD + plan_size;
}

/* --- workers ---------------------------------------------------------- */

static bool is_zero(const uint8_t *data, size_t size)
{
	return !data[0] && !memcmp(data, data + 1, size - 1);
}

static int write_run(struct slot *slot, uint32_t from, uint32_t to)
{
	while (from < to) {
		ssize_t n =
			pwrite(slot->target->fd, slot->data + from, to - from,
			       (off_t)(slot->head.offset + from));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_errno(&slot->error, n < 0 ? errno : EIO,
					   "can't be written");
		from += (uint32_t)n;
	}
	return 0;
}

/* Holes stay where the file has zeros. */
static int write_data(struct slot *slot)
{
	uint32_t size = slot->head.length, run = 0, at = 0;
	int r = 0;

	slot->written = 0;
	while (!r && at < size) {
		uint32_t n =
			size - at < BUNDLE_BLOCK ? size - at : BUNDLE_BLOCK;
		bool zero = is_zero(slot->data + at, n);

		if (!zero)
			slot->written += n;
		if (zero && slot->target->fd >= 0 && run < at)
			r = write_run(slot, run, at);
		at += n;
		if (zero)
			run = at;
	}
	if (!r && slot->target->fd >= 0)
		r = write_run(slot, run, size);
	return r;
}

static int unpack(struct slot *slot, ZSTD_DCtx *zstd)
{
	size_t n;

	if (!bundle_head_fits(&slot->head, slot->raw, slot->body))
		return error_set(&slot->error, -EBADMSG, "damaged");
	n = ZSTD_decompressDCtx(zstd, slot->data, slot->head.length, slot->body,
				slot->head.stored);
	if (ZSTD_isError(n) || n != slot->head.length)
		return error_set(&slot->error, -EINVAL,
				 "a record does not hold what its head says");
	return write_data(slot);
}

static void *decompress(void *data)
{
	struct work *w = data;
	ZSTD_DCtx *zstd = ZSTD_createDCtx();

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct slot *slot;

		while (!w->ending && w->taken == w->filled)
			pthread_cond_wait(&w->todo, &w->lock);
		if (w->ending)
			break;
		slot = &w->slots[w->taken++ % w->slot_count];
		pthread_mutex_unlock(&w->lock);
		slot->r = zstd ? unpack(slot, zstd)
			       : error_set(&slot->error, -ENOMEM, "no memory");
		pthread_mutex_lock(&w->lock);
		slot->state = DONE;
		pthread_cond_signal(&w->done);
	}
	pthread_mutex_unlock(&w->lock);
	ZSTD_freeDCtx(zstd);
	return NULL;
}

/* --- records that are done -------------------------------------------- */

static bool is_check(const struct work *w)
{
	return w->options->journal < 0;
}

static const struct bundle_file *file_at(const struct work *w, unsigned n)
{
	return &w->plan->files[n];
}

static void target_put(struct target *target)
{
	if (target && --target->refs == 0) {
		if (target->fd >= 0)
			close(target->fd);
		free(target);
	}
}

static int note_damage(struct work *w, const struct slot *slot,
		       struct error *error)
{
	const struct bundle_head *head = &slot->head;
	int r = error_set(
		error, -EBADMSG,
		"the bundle is damaged: %s, bytes %llu to %llu (bytes %llu to "
		"%llu of the bundle)",
		file_at(w, head->file)->path, (unsigned long long)head->offset,
		(unsigned long long)(head->offset + head->length - 1),
		(unsigned long long)slot->at,
		(unsigned long long)(slot->at + BUNDLE_HEAD + head->stored -
				     1));

	if (!is_check(w))
		return r;
	if (!w->damaged++)
		w->damage = *error;
	error_clear(error);
	return 0;
}

static int tell(struct work *w, const struct slot *slot, struct error *error)
{
	unsigned file = slot->head.file;

	for (; w->told_file < file; w->told_file++) {
		w->told_before += file_at(w, w->told_file)->data;
		w->told = 0;
	}
	w->told += slot->written;
	if (w->told > file_at(w, file)->data)
		return error_set(error, -EINVAL,
				 "%s has more data than the bundle's plan says",
				 file_at(w, file)->path);
	if (w->options->progress)
		w->options->progress(w->options->data, w->told_before + w->told,
				     w->plan->data);
	return 0;
}

static void end_digest(struct work *w)
{
	EVP_DigestFinal_ex(w->digest, w->digests[w->digest_file], NULL);
	EVP_DigestInit_ex(w->digest, EVP_sha256(), NULL);
}

/* A data record in the manifest. */
static void count(struct work *w, const struct bundle_head *head)
{
	while (w->digest_file < head->file) {
		end_digest(w);
		w->digest_file++;
	}
	w->counts[head->file]++;
	w->records++;
	EVP_DigestUpdate(w->digest, head->digest, BUNDLE_DIGEST);
}

static int empty_slot(struct work *w, struct error *error)
{
	struct slot *slot = &w->slots[w->emptied % w->slot_count];
	int r;

	pthread_mutex_lock(&w->lock);
	while (slot->state != DONE)
		pthread_cond_wait(&w->done, &w->lock);
	pthread_mutex_unlock(&w->lock);
	r = slot->r;
	if (r == -EBADMSG)
		r = note_damage(w, slot, error);
	else if (r)
		error_set(error, r, "%s: %s", file_at(w, slot->head.file)->path,
			  slot->error.text);
	else
		r = tell(w, slot, error);
	if (!r)
		count(w, &slot->head);
	if (!r && !is_check(w))
		buffer_put(&w->heads, slot->raw, BUNDLE_HEAD);
	target_put(slot->target);
	slot->target = NULL;
	slot->state = FREE;
	w->emptied++;
	return r;
}

static int empty_all(struct work *w, struct error *error)
{
	int r = 0;

	while (!r && w->emptied < w->filled)
		r = empty_slot(w, error);
	return r;
}

static int flush(struct work *w, struct error *error)
{
	int r = empty_all(w, error);

	if (r || is_check(w))
		return r;
	r = w->options->sync(w->options->data, error);
	if (r)
		return r;
	if (w->heads.failed ||
	    bundle_write_all(w->options->journal, w->heads.data,
			     w->heads.size) ||
	    fdatasync(w->options->journal))
		return error_set(error, -EIO,
				 "can't write the journal of the import");
	buffer_drop(&w->heads, w->heads.size);
	w->unsynced = 0;
	return 0;
}

/* --- data ------------------------------------------------------------- */

static int open_target(struct work *w, struct error *error)
{
	struct target *target = calloc(1, sizeof(*target));
	int r = 0;

	if (!target)
		return error_set(error, -ENOMEM, "no memory");
	target->fd = -1;
	target->refs = 1;
	if (!is_check(w))
		r = w->options->open(w->options->data, w->file, &target->fd,
				     error);
	w->target = target;
	w->opened = true;
	if (!r && target->fd >= 0 &&
	    ftruncate(target->fd, (off_t)file_at(w, w->file)->size))
		r = error_errno(error, errno, "%s", file_at(w, w->file)->path);
	return r;
}

/* Files without data come to be as well. */
static int go_to_file(struct work *w, unsigned file, struct error *error)
{
	int r = 0;

	while (!r && w->file < file) {
		if (!w->opened)
			r = open_target(w, error);
		target_put(w->target);
		w->target = NULL;
		w->opened = false;
		w->next = 0;
		w->file++;
	}
	if (!r && !w->opened && file < w->plan->count)
		r = open_target(w, error);
	return r;
}

/* Order leaves no room for a byte that is given twice. */
static int judge(struct work *w, const struct bundle_head *head,
		 struct error *error)
{
	if (head->file >= w->plan->count || head->file < w->file)
		return error_set(error, -EINVAL,
				 "a record of the bundle is of no file, or out "
				 "of order");
	if (!head->length || !head->stored ||
	    (head->file == w->file && head->offset < w->next) ||
	    head->offset > file_at(w, head->file)->size ||
	    head->length > file_at(w, head->file)->size - head->offset)
		return error_set(error, -EINVAL,
				 "a record of the bundle is not within %s",
				 file_at(w, head->file)->path);
	return 0;
}

/* A slot's buffers are as large as its largest record was. */
static int make_room(uint8_t **buffer, uint32_t *room, uint32_t size,
		     struct error *error)
{
	if (size <= *room)
		return 0;
	free(*buffer);
	*buffer = malloc(size);
	*room = *buffer ? size : 0;
	return *buffer ? 0 : error_set(error, -ENOMEM, "no memory");
}

static int read_data(struct work *w, struct bundle_head *head,
		     const uint8_t raw[BUNDLE_HEAD], struct error *error)
{
	struct slot *slot = &w->slots[w->filled % w->slot_count];
	int r = judge(w, head, error);

	if (!r && w->filled - w->emptied == w->slot_count)
		r = empty_slot(w, error);
	if (!r)
		r = go_to_file(w, head->file, error);
	if (!r)
		r = make_room(&slot->body, &slot->body_room, head->stored,
			      error);
	if (!r)
		r = make_room(&slot->data, &slot->data_room, head->length,
			      error);
	if (r)
		return r;
	r = bundle_read_all(w->options->input, slot->body, head->stored);
	if (r)
		return r;
	w->next = head->offset + head->length;
	slot->head = *head;
	memcpy(slot->raw, raw, BUNDLE_HEAD);
	slot->at = w->at - BUNDLE_HEAD;
	w->at += head->stored;
	slot->target = w->target;
	w->target->refs++;
	pthread_mutex_lock(&w->lock);
	slot->state = TODO;
	w->filled++;
	pthread_cond_signal(&w->todo);
	pthread_mutex_unlock(&w->lock);
	w->unsynced += head->length;
	return w->unsynced >= SYNC_STEP ? flush(w, error) : 0;
}

/* --- the other records ------------------------------------------------ */

/* Its body with a NUL behind it; free() it. */
static int read_body(struct work *w, const struct bundle_head *head,
		     const uint8_t raw[BUNDLE_HEAD], char **body,
		     struct error *error)
{
	int r;

	*body = malloc(head->stored + 1);
	if (!*body)
		return error_set(error, -ENOMEM, "no memory");
	r = bundle_read_all(w->options->input, *body, head->stored);
	(*body)[head->stored] = '\0';
	w->at += head->stored;
	if (!r && !bundle_head_fits(head, raw, *body))
		r = error_set(error, -EBADMSG,
			      "the bundle is damaged: its bytes %llu to %llu",
			      (unsigned long long)(w->at - head->stored -
						   BUNDLE_HEAD),
			      (unsigned long long)(w->at - 1));
	if (r) {
		free(*body);
		*body = NULL;
	}
	return r;
}

/* The end of the data: every file is there. */
static int end_data(struct work *w, struct error *error)
{
	int r = empty_all(w, error);

	if (!r)
		r = go_to_file(w, w->plan->count, error);
	if (!r)
		r = flush(w, error);
	for (; !r && w->digest_file < w->plan->count; w->digest_file++)
		end_digest(w);
	return r;
}

static bool is_digest(const json_t *json, const uint8_t digest[BUNDLE_DIGEST])
{
	uint8_t other[BUNDLE_DIGEST];

	return bundle_unhex(json_string_value(json), other, sizeof(other)) &&
	       !memcmp(other, digest, sizeof(other));
}

static int compare_manifest(struct work *w, const json_t *json,
			    struct error *error)
{
	const json_t *files = json_object_get(json, "files");

	if (!is_digest(json_object_get(json, "plan"), w->plan_digest) ||
	    json_array_size(files) != w->plan->count)
		return error_set(error, -EBADMSG,
				 "the bundle's manifest is not that of its "
				 "plan");
	for (unsigned i = 0; i < w->plan->count; i++) {
		const json_t *file = json_array_get(files, i);

		if (json_integer_value(json_array_get(file, 0)) !=
			    w->counts[i] ||
		    !is_digest(json_array_get(file, 1), w->digests[i]))
			return error_set(error, -EBADMSG,
					 "the bundle's manifest does not agree "
					 "with what it has of %s",
					 file_at(w, i)->path);
	}
	return 0;
}

static int read_manifest(struct work *w, const struct bundle_head *head,
			 const uint8_t raw[BUNDLE_HEAD], struct error *error)
{
	json_t *json = NULL;
	char *text;
	int r = end_data(w, error);

	if (!r)
		r = read_body(w, head, raw, &text, error);
	if (r)
		return r;
	json = json_loadb(text, head->stored, JSON_REJECT_DUPLICATES, NULL);
	r = json ? compare_manifest(w, json, error)
		 : error_set(error, -EINVAL,
			     "the bundle's manifest is no JSON");
	memcpy(w->manifest, head->digest, BUNDLE_DIGEST);
	json_decref(json);
	free(text);
	return r;
}

static bool is_signed(const struct work *w, const uint8_t key[32],
		      const uint8_t signature[64])
{
	uint8_t text[BUNDLE_SIGNED_SIZE];
	EVP_PKEY *public =
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, 32);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good;

	bundle_signed_text(w->manifest, text);
	good = public && context &&
	       EVP_DigestVerifyInit(context, NULL, NULL, NULL, public) == 1 &&
	       EVP_DigestVerify(context, signature, 64, text, sizeof(text)) ==
		       1;
	EVP_MD_CTX_free(context);
	EVP_PKEY_free(public);
	return good;
}

static int read_signature(struct work *w, const struct bundle_head *head,
			  const uint8_t raw[BUNDLE_HEAD], struct error *error)
{
	uint8_t key[32], signature[64];
	const char *hex;
	json_t *json;
	char *text;
	int r = read_body(w, head, raw, &text, error);

	if (r)
		return r;
	json = json_loadb(text, head->stored, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	hex = json_string_value(json_object_get(json, "key"));
	if (!bundle_unhex(hex, key, sizeof(key)) ||
	    !bundle_unhex(json_string_value(json_object_get(json, "signature")),
			  signature, sizeof(signature)) ||
	    !is_signed(w, key, signature))
		r = error_set(error, -EBADMSG,
			      "the bundle's signature is wrong: somebody has "
			      "changed it");
	else
		r = w->options->signed_by(w->options->data, hex, error);
	json_decref(json);
	return r;
}

static int read_handover(struct work *w, const struct bundle_head *head,
			 const uint8_t raw[BUNDLE_HEAD], struct error *error)
{
	char *text;
	int r = read_body(w, head, raw, &text, error);

	if (r)
		return r;
	r = w->options->handover(w->options->data, text, head->stored, error);
	free(text);
	return r;
}

static int read_end(struct work *w, const struct bundle_head *head,
		    const uint8_t raw[BUNDLE_HEAD], struct error *error)
{
	uint8_t byte;

	if (head->stored || !bundle_head_fits(head, raw, NULL))
		return error_set(error, -EBADMSG,
				 "the bundle's end is damaged");
	if (bundle_read_all(w->options->input, &byte, 1) != -ENODATA)
		return error_set(error, -EINVAL,
				 "something stands behind the bundle's end");
	return 0;
}

static int read_plan(struct work *w, struct error *error)
{
	struct bundle_head head;
	uint8_t raw[BUNDLE_HEAD];
	char magic[BUNDLE_MAGIC_SIZE], *text;
	int r = bundle_read_all(w->options->input, magic, sizeof(magic));

	if (r && r != -ENODATA)
		return r;
	if (r || memcmp(magic, BUNDLE_MAGIC, sizeof(magic)) != 0)
		return error_set(error, r ? r : -EINVAL,
				 "it is no bundle of a vault");
	r = bundle_read_all(w->options->input, raw, sizeof(raw));
	if (!r)
		r = bundle_head_read(&head, raw, error);
	if (!r && head.kind != BUNDLE_PLAN)
		r = error_set(error, -EINVAL, "the bundle has no plan");
	w->at = BUNDLE_MAGIC_SIZE + BUNDLE_HEAD;
	if (!r)
		r = read_body(w, &head, raw, &text, error);
	if (r)
		return r;
	memcpy(w->plan_digest, head.digest, BUNDLE_DIGEST);
	r = w->options->take_plan(w->options->data, text, head.stored,
				  head.digest, &w->plan, error);
	free(text);
	return r;
}

/* --- all of it -------------------------------------------------------- */

int bundle_position(int journal, size_t plan_size, uint64_t *position,
		    struct error *error)
{
	struct bundle_head head;
	uint8_t raw[BUNDLE_HEAD];
	struct stat st;
	uint64_t count;

	*position = bundle_start(plan_size);
	if (fstat(journal, &st) || lseek(journal, 0, SEEK_SET))
		return error_errno(error, errno, "the import's journal");
	count = (uint64_t)st.st_size / BUNDLE_HEAD;
	for (uint64_t i = 0; i < count; i++) {
		if (bundle_read_all(journal, raw, sizeof(raw)) ||
		    bundle_head_read(&head, raw, NULL) ||
		    head.kind != BUNDLE_DATA)
			return error_set(error, -ESTALE,
					 "the import's journal is damaged");
		*position += BUNDLE_HEAD + head.stored;
	}
	if (ftruncate(journal, (off_t)(count * BUNDLE_HEAD)))
		return error_errno(error, errno, "the import's journal");
	return 0;
}

/* What the journal knows is in the files. */
static int go_on(struct work *w, struct error *error)
{
	struct bundle_head head;
	uint8_t raw[BUNDLE_HEAD];
	int r = 0;

	if (lseek(w->options->journal, 0, SEEK_SET))
		return error_errno(error, errno, "the import's journal");
	while (!r && !bundle_read_all(w->options->journal, raw, sizeof(raw))) {
		r = bundle_head_read(&head, raw, error);
		if (!r)
			r = judge(w, &head, error);
		if (r)
			break;
		if (head.file > w->file)
			w->next = 0;
		w->file = head.file;
		w->next = head.offset + head.length;
		w->at += BUNDLE_HEAD + head.stored;
		count(w, &head);
	}
	return r;
}

static int make_manifest(struct work *w, struct error *error)
{
	w->counts = calloc(w->plan->count, sizeof(*w->counts));
	w->digests = calloc(w->plan->count, sizeof(*w->digests));
	w->digest = EVP_MD_CTX_new();
	if (!w->counts || !w->digests || !w->digest ||
	    !EVP_DigestInit_ex(w->digest, EVP_sha256(), NULL))
		return error_set(error, -ENOMEM, "no memory");
	return 0;
}

static int begin(struct work *w, struct error *error)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned threads = w->options->threads;

	if (!threads)
		threads = cores > 0 ? (unsigned)cores : 1;
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	w->slot_count = 3 * threads;
	for (; w->thread_count < threads; w->thread_count++)
		if (pthread_create(&w->threads[w->thread_count], NULL,
				   decompress, w))
			return error_set(error, -EAGAIN,
					 "can't start a thread");
	return 0;
}

/* What may follow a record of a kind. */
static bool may_follow(const struct work *w, enum bundle_kind before,
		       enum bundle_kind kind)
{
	switch (kind) {
	case BUNDLE_DATA:
	case BUNDLE_MANIFEST:
		return before == BUNDLE_PLAN || before == BUNDLE_DATA;
	case BUNDLE_SIGNATURE:
		return before == BUNDLE_MANIFEST;
	case BUNDLE_HANDOVER:
		return before == BUNDLE_SIGNATURE && w->plan->moved;
	case BUNDLE_END:
		return before ==
		       (w->plan->moved ? BUNDLE_HANDOVER : BUNDLE_SIGNATURE);
	default:
		return false;
	}
}

static int read_record(struct work *w, enum bundle_kind *kind,
		       struct error *error)
{
	struct bundle_head head;
	uint8_t raw[BUNDLE_HEAD];
	enum bundle_kind before = *kind;
	int r = bundle_read_all(w->options->input, raw, sizeof(raw));

	if (r)
		return r;
	r = bundle_head_read(&head, raw, error);
	if (r)
		return error_set(error, r,
				 "the bundle is damaged: its bytes %llu to "
				 "%llu, at or behind %s, byte %llu",
				 (unsigned long long)w->at,
				 (unsigned long long)w->at + BUNDLE_HEAD - 1,
				 w->file < w->plan->count
					 ? file_at(w, w->file)->path
					 : "its manifest",
				 (unsigned long long)w->next);
	w->at += BUNDLE_HEAD;
	*kind = head.kind;
	if (!may_follow(w, before, head.kind))
		return error_set(error, -EINVAL,
				 "the bundle's records are out of order");
	switch (head.kind) {
	case BUNDLE_DATA:
		return read_data(w, &head, raw, error);
	case BUNDLE_MANIFEST:
		return read_manifest(w, &head, raw, error);
	case BUNDLE_SIGNATURE:
		return read_signature(w, &head, raw, error);
	case BUNDLE_HANDOVER:
		return read_handover(w, &head, raw, error);
	default:
		return read_end(w, &head, raw, error);
	}
}

static int read_records(struct work *w, struct error *error)
{
	enum bundle_kind kind = BUNDLE_PLAN;
	int r = 0;

	while (!r && kind != BUNDLE_END)
		r = read_record(w, &kind, error);
	/* What came before a cut is judged, and good for going on. */
	if (r == -ENODATA) {
		int before = flush(w, error);

		r = before ? before : r;
	}
	return r;
}

/* Reading itself has no words. */
static int explain(const struct work *w, int r, struct error *error)
{
	if (!r || error->code)
		return r;
	if (r == -ENODATA)
		return error_set(error, r,
				 "the bundle ends at its byte %llu, before its "
				 "end: it was not exported to the end, or cut "
				 "off",
				 (unsigned long long)w->at);
	return error_errno(error, r, "can't read the bundle");
}

static void end(struct work *w)
{
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_broadcast(&w->todo);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->thread_count; i++)
		pthread_join(w->threads[i], NULL);
	for (unsigned i = 0; i < w->slot_count; i++) {
		target_put(w->slots[i].target);
		free(w->slots[i].body);
		free(w->slots[i].data);
	}
	target_put(w->target);
	buffer_free(&w->heads);
	free(w->counts);
	free(w->digests);
	EVP_MD_CTX_free(w->digest);
	pthread_cond_destroy(&w->todo);
	pthread_cond_destroy(&w->done);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

/* Of a check: all of it was looked at. */
static int sum_up(const struct work *w, int r, struct error *error)
{
	if (!w->damaged || (r && r != -EBADMSG && r != -ENODATA))
		return r;
	error_set(error, -EBADMSG, "%s", w->damage.text);
	if (w->damaged > 1 && error)
		snprintf(error->text + strlen(error->text),
			 sizeof(error->text) - strlen(error->text),
			 ", and %u more records", w->damaged - 1);
	return -EBADMSG;
}

int bundle_read(const struct bundle_reader *options, struct error *error)
{
	struct work *w = calloc(1, sizeof(*w));
	struct error mine = {0};
	int r;

	if (!w)
		return error_set(error, -ENOMEM, "no memory");
	if (!error)
		error = &mine;
	w->options = options;
	w->plan = options->plan;
	memcpy(w->plan_digest, options->plan_digest, BUNDLE_DIGEST);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->todo, NULL);
	pthread_cond_init(&w->done, NULL);
	r = begin(w, error);
	if (!r && !w->plan)
		r = read_plan(w, error);
	else if (!r)
		w->at = bundle_start(options->plan_size);
	if (!r)
		r = make_manifest(w, error);
	if (!r && options->plan && !is_check(w))
		r = go_on(w, error);
	if (!r)
		r = read_records(w, error);
	r = sum_up(w, explain(w, r, error), error);
	end(w);
	return r;
}
