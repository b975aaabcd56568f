/*
 * Reading a bundle; see bundle_read.h. Records are read and their heads judged
 * here; bundle_unpack.h does the rest of data. A record counts as written in
 * its order and after a sync, so that a journal of heads says how far it is.
 */
#include "daemon/bundle_read.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "daemon/bundle_manifest.h"
#include "daemon/bundle_unpack.h"
#include "recorder/bytes.h"

#define NOTE 28 /* in a head, of the journal only: see note() */
#define SYNC_STEP (UINT64_C(256) << 20) /* bytes of files between two syncs */

struct work {
	const struct bundle_reader *options;
	const struct bundle_plan *plan;
	uint8_t plan_digest[BUNDLE_DIGEST];
	struct bundle_unpack *unpack;
	struct bundle_manifest *manifest;
	uint64_t at;                  /* in the bundle */
	struct bundle_target *target; /* of the file at hand, or NULL */
	unsigned file;                /* at hand */
	uint64_t next;                /* first byte of it that may come */
	uint64_t unsynced;
	unsigned pending;    /* records that are not yet collected */
	struct buffer heads; /* not yet in the journal */
	/* What was written of the file of the last record that was done. */
	unsigned told_file;
	uint64_t told, told_before;
	unsigned damaged; /* records, of a check */
	struct error damage;
	uint8_t manifest_digest[BUNDLE_DIGEST];
};

uint64_t bundle_start(size_t plan_size)
{
	return BUNDLE_MAGIC_SIZE + BUNDLE_HEAD + plan_size;
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

static int note_damage(struct work *w, const struct bundle_unpacked *done,
		       struct error *error)
{
	const struct bundle_head *head = &done->head;
	int r = error_set(
		error, -EBADMSG,
		"the bundle is damaged: %s, bytes %llu to %llu (bytes %llu to "
		"%llu of the bundle)",
		file_at(w, head->file)->path, (unsigned long long)head->offset,
		(unsigned long long)(head->offset + head->length - 1),
		(unsigned long long)done->at,
		(unsigned long long)(done->at + BUNDLE_HEAD + head->stored -
				     1));

	if (!is_check(w))
		return r;
	if (!w->damaged++)
		w->damage = *error;
	error_clear(error);
	return 0;
}

/* Of a file, so many more bytes that are not zero. */
static int tell(struct work *w, unsigned file, uint32_t written,
		struct error *error)
{
	for (; w->told_file < file; w->told_file++) {
		w->told_before += file_at(w, w->told_file)->data;
		w->told = 0;
	}
	w->told += written;
	if (w->told > file_at(w, file)->data)
		return error_set(error, -EINVAL,
				 "%s has more data than the bundle's plan says",
				 file_at(w, file)->path);
	if (w->options->progress)
		w->options->progress(w->options->data, w->told_before + w->told,
				     w->plan->data);
	return 0;
}

/*
 * The journal has each head with what was written of its record, where a
 * bundle has 0: an import that goes on is held to its plan as well.
 */
static void note(struct work *w, const struct bundle_unpacked *done)
{
	uint8_t raw[BUNDLE_HEAD];

	memcpy(raw, done->raw, BUNDLE_HEAD);
	bytes_put_le32(raw + NOTE, done->written);
	buffer_put(&w->heads, raw, BUNDLE_HEAD);
}

/* The next note; -ENODATA at the end. */
static int read_note(int journal, struct bundle_head *head, uint32_t *written,
		     struct error *error)
{
	uint8_t raw[BUNDLE_HEAD];
	struct bytes b = bytes_of(raw + NOTE, 4);
	int r = bundle_read_all(journal, raw, sizeof(raw));

	if (r)
		return r;
	*written = bytes_le32(&b);
	bytes_put_le32(raw + NOTE, 0);
	return bundle_head_read(head, raw, error);
}

/* The oldest record; 0 also when there is none. */
static int collect(struct work *w, struct error *error)
{
	struct bundle_unpacked done;
	int r;

	if (!bundle_unpack_collect(w->unpack, &done))
		return 0;
	r = done.r;
	if (r == -EBADMSG)
		r = note_damage(w, &done, error);
	else if (r)
		error_set(error, r, "%s: %s", file_at(w, done.head.file)->path,
			  done.error.text);
	else
		r = tell(w, done.head.file, done.written, error);
	if (r)
		return r;
	bundle_manifest_add(w->manifest, &done.head);
	if (!is_check(w))
		note(w, &done);
	w->pending--;
	return 0;
}

static int empty_all(struct work *w, struct error *error)
{
	int r = 0;

	while (!r && w->pending)
		r = collect(w, error);
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
	const struct bundle_file *file = file_at(w, w->file);
	int fd = -1, r = 0;

	if (!is_check(w))
		r = w->options->open(w->options->data, w->file, &fd, error);
	if (r)
		return r;
	w->target = bundle_target_new(fd);
	if (!w->target)
		return error_set(error, -ENOMEM, "no memory");
	/* What an earlier run has written and not noted is not believed. */
	return fd >= 0 && (ftruncate(fd, (off_t)w->next) ||
			   ftruncate(fd, (off_t)file->size))
		       ? error_errno(error, errno, "%s", file->path)
		       : 0;
}

/* Files without data come to be as well. */
static int go_to_file(struct work *w, unsigned file, struct error *error)
{
	int r = 0;

	while (!r && w->file < file) {
		if (!w->target)
			r = open_target(w, error);
		bundle_target_put(w->target);
		w->target = NULL;
		w->next = 0;
		w->file++;
	}
	if (!r && !w->target && file < w->plan->count)
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

static int read_data(struct work *w, struct bundle_head *head,
		     const uint8_t raw[BUNDLE_HEAD], struct error *error)
{
	int r = judge(w, head, error);

	if (!r && bundle_unpack_is_full(w->unpack))
		r = collect(w, error);
	if (!r)
		r = go_to_file(w, head->file, error);
	if (r)
		return r;
	r = bundle_unpack_add(w->unpack, w->options->input, head, raw,
			      w->at - BUNDLE_HEAD, w->target);
	if (r)
		return r;
	w->pending++;
	w->next = head->offset + head->length;
	w->at += head->stored;
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
	return r ? r : flush(w, error);
}

static int read_manifest(struct work *w, const struct bundle_head *head,
			 const uint8_t raw[BUNDLE_HEAD], struct error *error)
{
	char *text;
	int r = end_data(w, error);

	if (!r)
		r = read_body(w, head, raw, &text, error);
	if (r)
		return r;
	memcpy(w->manifest_digest, head->digest, BUNDLE_DIGEST);
	r = bundle_manifest_compare(w->manifest, w->plan_digest, text,
				    head->stored, error);
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

	bundle_signed_text(w->manifest_digest, text);
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
	struct stat st;
	uint64_t count;
	uint32_t written;

	*position = bundle_start(plan_size);
	if (fstat(journal, &st) || lseek(journal, 0, SEEK_SET))
		return error_errno(error, errno, "the import's journal");
	count = (uint64_t)st.st_size / BUNDLE_HEAD;
	for (uint64_t i = 0; i < count; i++) {
		if (read_note(journal, &head, &written, NULL) ||
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
	uint32_t written;
	int r;

	if (lseek(w->options->journal, 0, SEEK_SET))
		return error_errno(error, errno, "the import's journal");
	while (!(r = read_note(w->options->journal, &head, &written, error))) {
		r = judge(w, &head, error);
		if (!r)
			r = tell(w, head.file, written, error);
		if (r)
			break;
		if (head.file > w->file)
			w->next = 0;
		w->file = head.file;
		w->next = head.offset + head.length;
		w->at += BUNDLE_HEAD + head.stored;
		bundle_manifest_add(w->manifest, &head);
	}
	return r == -ENODATA ? 0 : r;
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

static void work_free(struct work *w)
{
	bundle_unpack_free(w->unpack);
	bundle_target_put(w->target);
	bundle_manifest_free(w->manifest);
	buffer_free(&w->heads);
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
	r = bundle_unpack_new(&w->unpack, options->threads, error);
	if (!r && !w->plan)
		r = read_plan(w, error);
	else if (!r)
		w->at = bundle_start(options->plan_size);
	if (!r)
		r = bundle_manifest_new(&w->manifest, w->plan, error);
	if (!r && options->plan && !is_check(w))
		r = go_on(w, error);
	if (!r)
		r = read_records(w, error);
	r = sum_up(w, explain(w, r, error), error);
	work_free(w);
	return r;
}
