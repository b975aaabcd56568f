/* The jobs that write and read bundles; see bundle_job.h. */
#include "daemon/bundle_job.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/bundle_link.h"
#include "daemon/bundle_read.h"
#include "daemon/bundle_write.h"

enum { LINK = 3, BUNDLE = 4, PLAN = 6, JOURNAL = 7 };

struct job {
	int (*progress)(void *user, double done);
	struct bundle_orders orders;
	struct bundle_plan *plan;
	char *text; /* the plan's */
};

static int get_orders(struct job *job, struct error *error)
{
	struct buffer answer = {0};
	int r = bundle_ask(LINK, BUNDLE_ASK_BEGIN, 0, NULL, 0, &answer, NULL,
			   error);

	if (!r && answer.size != sizeof(job->orders))
		r = error_set(error, -EPROTO, "no orders were given");
	if (!r)
		memcpy(&job->orders, answer.data, sizeof(job->orders));
	buffer_free(&answer);
	return r;
}

static int read_plan(struct job *job, struct error *error)
{
	size_t size = job->orders.plan_size;

	job->text = calloc(1, size + 1);
	if (!job->text)
		return error_set(error, -ENOMEM, "no memory");
	if (lseek(PLAN, 0, SEEK_SET) || bundle_read_all(PLAN, job->text, size))
		return error_set(error, -EIO, "can't read the plan");
	return bundle_plan_read(&job->plan, job->text, size, error);
}

static void tell(void *data, uint64_t done, uint64_t all)
{
	const struct job *job = data;

	job->progress(NULL, all ? (double)done / (double)all : 1);
}

static int open_file(void *data, unsigned n, int *fd, struct error *error)
{
	(void)data;
	return bundle_ask(LINK, BUNDLE_ASK_OPEN, n, NULL, 0, NULL, fd, error);
}

/* The control role gets the error with its number, which a line has not. */
static int end(struct job *job, int r, struct error *error)
{
	bundle_ask(LINK, BUNDLE_TELL_END, (unsigned)-r, error->text,
		   strlen(error->text), NULL, NULL, NULL);
	bundle_plan_free(job->plan);
	free(job->text);
	return r;
}

static int sign(void *data, const uint8_t *text, struct buffer *body,
		struct error *error)
{
	(void)data;
	return bundle_ask(LINK, BUNDLE_ASK_SIGN, 0, text, BUNDLE_SIGNED_SIZE,
			  body, NULL, error);
}

static int give_lease(void *data, struct buffer *body, struct error *error)
{
	(void)data;
	return bundle_ask(LINK, BUNDLE_ASK_HANDOVER, 0, NULL, 0, body, NULL,
			  error);
}

int bundle_job_export(int (*progress)(void *user, double done),
		      struct error *error)
{
	struct job job = {.progress = progress};
	struct bundle_writer writer = {.output = BUNDLE,
				       .journal = JOURNAL,
				       .open = open_file,
				       .sign = sign,
				       .handover = give_lease,
				       .progress = tell,
				       .data = &job};
	int r = get_orders(&job, error);

	if (!r)
		r = read_plan(&job, error);
	writer.plan = job.plan;
	writer.plan_text = job.text;
	writer.have = job.orders.have;
	writer.is_file = job.orders.is_file;
	if (!r)
		r = bundle_write(&writer, error);
	return end(&job, r, error);
}

/* Its text goes by a file: it may be larger than a message. */
static int take_plan(void *data, const char *text, size_t size,
		     const uint8_t digest[BUNDLE_DIGEST],
		     const struct bundle_plan **plan, struct error *error)
{
	struct job *job = data;
	int r = bundle_plan_read(&job->plan, text, size, error);

	if (r)
		return r;
	*plan = job->plan;
	if (ftruncate(PLAN, 0) || lseek(PLAN, 0, SEEK_SET) ||
	    bundle_write_all(PLAN, text, size))
		return error_set(error, -EIO, "can't write the plan");
	return bundle_ask(LINK, BUNDLE_ASK_PLAN, (unsigned)size, digest,
			  BUNDLE_DIGEST, NULL, NULL, error);
}

static int sync_files(void *data, struct error *error)
{
	(void)data;
	return bundle_ask(LINK, BUNDLE_ASK_SYNC, 0, NULL, 0, NULL, NULL, error);
}

static int tell_signer(void *data, const char *key, struct error *error)
{
	(void)data;
	return bundle_ask(LINK, BUNDLE_TELL_SIGNER, 0, key, strlen(key), NULL,
			  NULL, error);
}

static int take_lease(void *data, const char *text, size_t size,
		      struct error *error)
{
	(void)data;
	return bundle_ask(LINK, BUNDLE_TELL_HANDOVER, 0, text, size, NULL, NULL,
			  error);
}

int bundle_job_import(int (*progress)(void *user, double done),
		      struct error *error)
{
	struct job job = {.progress = progress};
	struct bundle_reader reader = {.input = BUNDLE,
				       .take_plan = take_plan,
				       .open = open_file,
				       .sync = sync_files,
				       .signed_by = tell_signer,
				       .handover = take_lease,
				       .progress = tell,
				       .data = &job};
	int r = get_orders(&job, error);

	reader.journal = job.orders.is_check ? -1 : JOURNAL;
	if (!r && job.orders.plan_size) {
		r = read_plan(&job, error);
		reader.plan = job.plan;
		reader.plan_size = job.orders.plan_size;
		memcpy(reader.plan_digest, job.orders.plan_digest,
		       BUNDLE_DIGEST);
	}
	if (!r)
		r = bundle_read(&reader, error);
	return end(&job, r, error);
}
