/*
 * A new vault whose medium comes by a URL: a job fetches it, checks its digest,
 * fills the vault's folder and only then marks it whole.
 *
 * Until then the folder has fetch.json, what was asked for, and fetch.state,
 * by which the source is known again; disks/cd.iso.fetch grows. A daemon that
 * starts goes on with that. A job that fails or is cancelled takes all away.
 */
#include "daemon/vault_make.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/folder.h"
#include "daemon/job_work.h"
#include "daemon/log.h"
#include "daemon/transfer.h"
#include "daemon/vault.h"

#define ASKED "fetch.json"
#define KNOWN "fetch.state"
#define PART VAULT_ISO ".fetch"
#define TEXT_MAX 65536
#define SPARE (64ull << 20) /* bytes that stay free */

struct fetch {
	struct control *control;
	char uuid[37];
	json_t *asked; /* owns the texts of spec */
	struct vault_spec spec;
	char url[TRANSFER_URL_SIZE]; /* without a fragment */
	uint64_t offset;             /* where this run began */
};

/* --- the digest --------------------------------------------------------- */

static int take_digest(const char *text, const char *what,
		       char sha256[VAULT_SHA256_SIZE], struct error *error)
{
	char lower[VAULT_SHA256_SIZE];

	if (strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64)
		return error_set(error, -EINVAL,
				 "%s is no SHA-256: that has 64 hexadecimal "
				 "digits",
				 what);
	for (unsigned i = 0; i <= 64; i++)
		lower[i] = (char)tolower((unsigned char)text[i]);
	if (sha256[0] && strcmp(sha256, lower))
		return error_set(error, -EINVAL,
				 "iso_sha256 and the URL's digest differ");
	strcpy(sha256, lower);
	return 0;
}

int vault_iso_digest(const struct vault_spec *spec,
		     char sha256[VAULT_SHA256_SIZE], struct error *error)
{
	const char *fragment = spec->iso && transfer_is_url(spec->iso)
				       ? strchr(spec->iso, '#')
				       : NULL;
	char own[VAULT_SHA256_SIZE];
	int r = 0;

	sha256 = sha256 ? sha256 : own;
	sha256[0] = '\0';
	if (spec->iso_sha256 && !spec->iso)
		return error_set(error, -EINVAL, "iso_sha256 goes with an iso");
	if (spec->iso_sha256)
		r = take_digest(spec->iso_sha256, "iso_sha256", sha256, error);
	if (!r && fragment && strncmp(fragment, "#sha256=", 8))
		return error_set(error, -EINVAL,
				 "behind the URL's # may stand sha256=HEX");
	if (!r && fragment)
		r = take_digest(fragment + 8, "what stands behind the URL",
				sha256, error);
	return r;
}

/* work: whose job it is, which may be cancelled; or NULL. */
static int digest_file(struct job_work *work, const char *path,
		       char sha256[VAULT_SHA256_SIZE], struct error *error)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int fd = open(path, O_RDONLY | O_CLOEXEC), r = 0;
	unsigned char buffer[65536], digest[32];
	ssize_t n = 1;

	if (fd < 0)
		r = error_errno(error, errno, "can't read %s", path);
	else if (!context || !EVP_DigestInit(context, EVP_sha256()))
		r = error_set(error, -ENOMEM, "no memory");
	while (!r && n > 0) {
		n = read(fd, buffer, sizeof(buffer));
		if (n < 0)
			r = error_errno(error, errno, "can't read %s", path);
		else if (!EVP_DigestUpdate(context, buffer, (size_t)n))
			r = error_set(error, -EIO, "no digest");
		if (!r && work)
			r = job_work_check(work, error);
	}
	if (!r && !EVP_DigestFinal(context, digest, NULL))
		r = error_set(error, -EIO, "no digest");
	for (unsigned i = 0; !r && i < sizeof(digest); i++)
		snprintf(sha256 + 2 * i, 3, "%02x", digest[i]);
	EVP_MD_CTX_free(context);
	if (fd >= 0)
		close(fd);
	return r;
}

static int compare_digest(const struct vault_spec *spec, const char *found,
			  struct error *error)
{
	char wanted[VAULT_SHA256_SIZE];
	int r = vault_iso_digest(spec, wanted, error);

	if (r || !wanted[0] || !strcmp(wanted, found))
		return r;
	return error_set(error, -EBADMSG,
			 "the iso is not the one that was meant: its SHA-256 "
			 "is %s, not %s",
			 found, wanted);
}

int vault_iso_check(const struct vault_spec *spec, const char *path,
		    struct error *error)
{
	char found[VAULT_SHA256_SIZE];
	int r;

	if (!spec->iso_sha256)
		return 0;
	r = digest_file(NULL, path, found, error);
	return r ? r : compare_digest(spec, found, error);
}

/* --- what was asked for --------------------------------------------------- */

static json_t *pack_spec(const struct vault_spec *spec)
{
	return json_pack(
		"{s:s, s:I, s:I, s:i, s:i, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, "
		"s:s*, s:s*, s:s*, s:b, s:b, s:s*}",
		"name", spec->name, "memory", (json_int_t)spec->memory,
		"disk_size", (json_int_t)spec->disk_size, "cpus",
		(int)spec->cpus, "heads", (int)spec->heads, "disk", spec->disk,
		"iso", spec->iso, "iso_sha256", spec->iso_sha256, "firmware",
		spec->firmware, "cpu", spec->cpu, "os", spec->os, "kernel",
		spec->kernel, "initrd", spec->initrd, "cmdline", spec->cmdline,
		"tpm", spec->tpm, "secure_boot", spec->secure_boot, "who",
		spec->who);
}

static const char *text_of(const json_t *json, const char *name)
{
	return json_string_value(json_object_get(json, name));
}

static json_int_t number_of(const json_t *json, const char *name)
{
	return json_integer_value(json_object_get(json, name));
}

/* Its texts are borrowed from json. */
static struct vault_spec unpack_spec(const json_t *json)
{
	return (struct vault_spec){
		.name = text_of(json, "name"),
		.memory = (uint64_t)number_of(json, "memory"),
		.disk_size = (uint64_t)number_of(json, "disk_size"),
		.cpus = (unsigned)number_of(json, "cpus"),
		.heads = (unsigned)number_of(json, "heads"),
		.disk = text_of(json, "disk"),
		.iso = text_of(json, "iso"),
		.iso_sha256 = text_of(json, "iso_sha256"),
		.firmware = text_of(json, "firmware"),
		.cpu = text_of(json, "cpu"),
		.os = text_of(json, "os"),
		.kernel = text_of(json, "kernel"),
		.initrd = text_of(json, "initrd"),
		.cmdline = text_of(json, "cmdline"),
		.tpm = json_is_true(json_object_get(json, "tpm")),
		.secure_boot =
			json_is_true(json_object_get(json, "secure_boot")),
		.who = text_of(json, "who"),
	};
}

static int write_json(struct fetch *f, const char *name, const json_t *json,
		      struct error *error)
{
	char path[PATH_MAX], *text = json_dumps(json, JSON_COMPACT);
	int r;

	if (!text)
		return error_set(error, -ENOMEM, "no memory");
	vault_path(f->control, f->uuid, name, path);
	/* A URL may be as good as a password. */
	r = folder_write(path, text, strlen(text), 0600, error);
	free(text);
	return r;
}

static json_t *read_json(struct control *control, const char *uuid,
			 const char *name)
{
	char path[PATH_MAX], *text;
	json_t *json;

	vault_path(control, uuid, name, path);
	if (folder_read(path, TEXT_MAX, &text, NULL))
		return NULL;
	json = json_loads(text, 0, NULL);
	free(text);
	return json;
}

/* --- the job ----------------------------------------------------------------
 */

static int open_part(void *data, uint64_t *offset, int *fd, struct error *error)
{
	struct fetch *f = data;
	char path[PATH_MAX];
	/* Of what source a part is that came without its state, nobody knows */
	int flags = 0;
	off_t end;

	vault_path(f->control, f->uuid, KNOWN, path);
	if (access(path, F_OK))
		flags = O_TRUNC;
	vault_path(f->control, f->uuid, PART, path);
	*fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags,
		   0600);
	end = *fd < 0 ? -1 : lseek(*fd, 0, SEEK_END);
	if (end < 0)
		return error_errno(error, errno, "can't write %s", path);
	*offset = f->offset = (uint64_t)end;
	return 0;
}

static int close_part(void *data, bool whole, struct error *error)
{
	(void)data;
	(void)whole;
	(void)error;
	return 0;
}

/* Its size is known now: is there a place for it? */
static int keep_state(void *data, const json_t *state, struct error *error)
{
	struct fetch *f = data;
	json_int_t size = number_of(state, "size");
	char path[PATH_MAX];
	struct statvfs fs;
	uint64_t left;

	vault_path(f->control, f->uuid, NULL, path);
	left = size > 0 && (uint64_t)size > f->offset
		       ? (uint64_t)size - f->offset
		       : 0;
	if (left && !statvfs(path, &fs) &&
	    (uint64_t)fs.f_bavail * fs.f_frsize < left + SPARE)
		return error_set(error, -ENOSPC,
				 "the iso has %llu MiB more, and %s has not so "
				 "much free: make room",
				 (unsigned long long)(left >> 20), path);
	return write_json(f, KNOWN, state, error);
}

static int fetch_iso(struct job_work *work, struct fetch *f,
		     struct error *error)
{
	json_t *state = read_json(f->control, f->uuid, KNOWN);
	const struct transfer_fetch fetch = {.url = f->url,
					     .state = state,
					     .data = f,
					     .begin = open_part,
					     .end = close_part,
					     .keep = keep_state};
	int r = transfer_fetch(work, &fetch, error);

	json_decref(state);
	return r;
}

/* Checks it, and gives it its name. */
static int accept_iso(struct job_work *work, struct fetch *f,
		      struct error *error)
{
	char part[PATH_MAX], path[PATH_MAX], found[VAULT_SHA256_SIZE];
	int fd, r;

	vault_path(f->control, f->uuid, PART, part);
	vault_path(f->control, f->uuid, VAULT_ISO, path);
	job_work_progress(work, 1, "checking the iso");
	r = digest_file(work, part, found, error);
	if (!r)
		r = compare_digest(&f->spec, found, error);
	if (r)
		return r;
	fd = open(part, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) || rename(part, path))
		r = error_errno(error, errno, "can't write %s", path);
	if (fd >= 0)
		close(fd);
	vault_path(f->control, f->uuid, "disks", path);
	if (!r)
		r = folder_sync(path, error);
	job_work_result(work, json_pack("{s:s, s:s}", "vault", f->spec.name,
					"iso_sha256", found));
	return r;
}

/* What an earlier run has put beside the medium. */
static int begin_anew(struct fetch *f, struct error *error)
{
	static const char *const folders[] = {"nvram", "tpm", "boot", "fw"};
	static const char *const disks[] = {"disks/disk.qcow2",
					    "disks/disk.raw"};
	char path[PATH_MAX];

	for (unsigned i = 0; i < 2; i++) {
		vault_path(f->control, f->uuid, disks[i], path);
		unlink(path);
	}
	for (unsigned i = 0; i < 4; i++) {
		vault_path(f->control, f->uuid, folders[i], path);
		if (folder_remove(path, error))
			return -EIO;
	}
	return vault_make_folders(f->control, f->uuid, error);
}

static int run(struct job_work *work, void *data, struct error *error)
{
	struct fetch *f = data;
	char path[PATH_MAX];
	int r = 0;

	vault_path(f->control, f->uuid, VAULT_ISO, path);
	if (access(path, F_OK))
		r = fetch_iso(work, f, error);
	if (!r && access(path, F_OK))
		r = accept_iso(work, f, error);
	if (!r)
		job_work_progress(work, 1, "making the vault");
	if (!r)
		r = begin_anew(f, error);
	if (!r)
		r = vault_fill(f->control, &f->spec, f->uuid, error);
	if (!r)
		vault_fetch_clean(f->control, f->uuid);
	else if (!job_work_is_interrupted(work))
		vault_undo(f->control, f->uuid);
	return r;
}

static void release(void *data)
{
	struct fetch *f = data;

	json_decref(f->asked);
	free(f);
}

static const struct job_work_kind kind = {"create", run, release, NULL};

/* Takes asked. */
static struct fetch *fetch_new(struct control *control, const char *uuid,
			       json_t *asked)
{
	struct fetch *f = calloc(1, sizeof(*f));

	if (!f || !asked) {
		json_decref(asked);
		free(f);
		return NULL;
	}
	f->control = control;
	f->asked = asked;
	f->spec = unpack_spec(asked);
	snprintf(f->uuid, sizeof(f->uuid), "%s", uuid);
	snprintf(f->url, sizeof(f->url), "%s", f->spec.iso ? f->spec.iso : "");
	f->url[strcspn(f->url, "#")] = '\0';
	return f;
}

int vault_fetch(struct control *control, const struct vault_spec *spec,
		const char *uuid, char job[JOB_ID_SIZE], struct error *error)
{
	struct fetch *f = fetch_new(control, uuid, pack_spec(spec));
	int r = f ? write_json(f, ASKED, f->asked, error)
		  : error_set(error, -EINVAL, "something in it is not UTF-8");

	if (!r)
		r = job_work_start(control->jobs, &kind, uuid, f, job, error);
	else if (f)
		release(f);
	if (r)
		vault_undo(control, uuid);
	return r;
}

/* --- after a restart
 * ----------------------------------------------------------- */

bool vault_fetch_is_begun(struct control *control, const char *uuid)
{
	json_t *asked = read_json(control, uuid, ASKED);
	bool is = asked && text_of(asked, "iso") && text_of(asked, "name");

	json_decref(asked);
	return is;
}

static int take_uuid(void *data, const struct catalogue_row *row)
{
	json_array_append_new(data, json_string(catalogue_row_text(row, 0)));
	return 0;
}

void vault_fetch_resume(struct control *control)
{
	json_t *list = json_array(), *uuid;
	char job[JOB_ID_SIZE];
	struct error error;
	struct fetch *f;
	size_t i;

	catalogue_read(control->catalogue,
		       "SELECT uuid FROM vault WHERE NOT ready", CATALOGUE_NONE,
		       take_uuid, list, NULL);
	json_array_foreach(list, i, uuid)
	{
		f = fetch_new(
			control, json_string_value(uuid),
			read_json(control, json_string_value(uuid), ASKED));
		if (f && job_work_start(control->jobs, &kind, f->uuid, f, job,
					&error))
			log_warning("vault %s: %s", json_string_value(uuid),
				    error.text);
	}
	json_decref(list);
}

void vault_fetch_clean(struct control *control, const char *uuid)
{
	static const char *const names[] = {ASKED, KNOWN};
	char path[PATH_MAX];

	for (unsigned i = 0; i < 2; i++) {
		vault_path(control, uuid, names[i], path);
		unlink(path);
	}
}
