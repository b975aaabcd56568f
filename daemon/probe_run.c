/* Running the probe beside stand-ins; see probe_run.h. */
#include "daemon/probe_run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>
#include <zlib.h>

#include "daemon/accelerator.h"
#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/domain.h"
#include "daemon/domain_text.h"
#include "daemon/folder.h"
#include "daemon/machine.h"
#include "daemon/vault.h"
#include "schema/embed.h"

#define DISKS_MAX 16
/* Software KVMs interpret firmware; a real one needs less than 3 s. */
#define REPORT_SECONDS 120

struct run {
	struct control *control;
	const struct vault *vault;
	const struct vault_source *source;
	char uuid[37];         /* the probe's own */
	char folder[PATH_MAX]; /* of all that is made for it */
	char kernel[PATH_MAX], nvram[PATH_MAX];
	char paths[DISKS_MAX][2][PATH_MAX]; /* disks and their stand-ins */
	struct domain_stand_in stand_ins[DISKS_MAX];
	unsigned disks;
	uint64_t memory;
	bool uefi;
	bool new_tpm; /* the probe is the first to run with it */
	bool done;    /* there is a report */
	struct timespec start;
};

/*
 * Always the same for a vault, so that it is found after a crash. There are
 * two, since libvirt may still clean up after the one while the next begins.
 */
static void name_probe(const char *vault_uuid, bool second, char uuid[37])
{
	const char *salt = second ? "mediavm identity probe 2 "
				  : "mediavm identity probe ";
	char text[80];
	uint8_t b[SHA256_DIGEST_LENGTH];

	snprintf(text, sizeof(text), "%s%s", salt, vault_uuid);
	SHA256((const uint8_t *)text, strlen(text), b);
	b[6] = (b[6] & 0x0f) | 0x80; /* RFC 9562: version 8 */
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(uuid, 37,
		 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
		 "%02x%02x%02x%02x%02x%02x",
		 b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9],
		 b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void set_up(struct run *run, struct control *control,
		   const char *vault_uuid)
{
	run->control = control;
	name_probe(vault_uuid, false, run->uuid);
	vault_path(control, vault_uuid, "probe", run->folder);
}

static bool runs(struct control *control, const char *uuid)
{
	enum hypervisor_state state =
		hypervisor_state(control->hypervisor, uuid);

	return state != HYPERVISOR_STOPPED && state != HYPERVISOR_CRASHED;
}

/* The vault has it from now on, whole or not at all. */
static int keep_tpm(struct run *run, struct error *error)
{
	char from[PATH_MAX], to[PATH_MAX];
	int r;

	snprintf(from, sizeof(from), "%.4000s/tpm/tpm2/tpm2-00.permall",
		 run->folder);
	r = disk_sync(from, error);
	snprintf(from, sizeof(from), "%.4000s/tpm/tpm2", run->folder);
	vault_path(run->control, run->vault->uuid, "tpm/tpm2", to);
	if (!r)
		r = folder_sync(from, error);
	if (!r && rename(from, to))
		r = error_errno(error, errno, "can't keep its new TPM in %s",
				to);
	vault_path(run->control, run->vault->uuid, "tpm", to);
	return r ? r : folder_sync(to, error);
}

static int clean_up(struct run *run, struct error *error)
{
	int r = hypervisor_quit(run->control->hypervisor, run->uuid, error);

	if (!r && run->new_tpm && run->done)
		r = keep_tpm(run, error);
	hypervisor_forget_tpm(run->control->hypervisor, run->uuid);
	folder_remove(run->folder, r ? NULL : error);
	return r;
}

/* What a killed daemon left. */
static int clean_both(struct run *run, const char *vault_uuid,
		      struct error *error)
{
	char *uuid = run->uuid;
	int r = 0;

	for (unsigned i = 0; i < 2 && !r; i++) {
		name_probe(vault_uuid, i == 1, uuid);
		r = clean_up(run, error);
	}
	return r;
}

/* A name that libvirt is done with. */
static int choose_name(struct run *run, struct error *error)
{
	for (unsigned i = 0; i < 2; i++) {
		name_probe(run->vault->uuid, i == 1, run->uuid);
		if (!runs(run->control, run->uuid))
			return 0;
	}
	return hypervisor_stop(run->control->hypervisor, run->uuid, true,
			       error);
}

void probe_clean(struct control *control, const char *vault_uuid)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		return;
	set_up(run, control, vault_uuid);
	if (access(run->folder, F_OK) == 0)
		clean_both(run, vault_uuid, NULL);
	free(run);
}

/* --- what it gets instead ---------------------------------------------- */

static int write_program(struct run *run, struct error *error)
{
	const char *name = run->uefi ? "probe.efi" : "probe.elf";
	const struct schema_embedded *file = probe_files;

	while (strcmp(file->name, name) != 0)
		file++;
	snprintf(run->kernel, sizeof(run->kernel), "%.4000s/%s", run->folder,
		 name);
	return folder_write(run->kernel, file->data, file->size, 0600, error);
}

/* The size of a disk tells machines apart; nothing of it is in the file. */
static int make_stand_in(struct run *run, const char *path, const char *format,
			 struct error *error)
{
	struct domain_stand_in *stand_in = &run->stand_ins[run->disks];
	char *from = run->paths[run->disks][0], *to = run->paths[run->disks][1];
	uint64_t size;
	int fd, r;

	if (run->disks == DISKS_MAX)
		return error_set(error, -E2BIG, "it has over %d disks",
				 DISKS_MAX);
	r = disk_size(path, format, &size, error);
	if (r)
		return r;
	snprintf(from, PATH_MAX, "%s", path);
	snprintf(to, PATH_MAX, "%.4000s/disk%u.raw", run->folder, run->disks);
	fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size))
		r = error_errno(error, errno, "can't make %s", to);
	if (fd >= 0)
		close(fd);
	*stand_in = (struct domain_stand_in){from, to, "raw"};
	run->disks++;
	return r;
}

static char *attribute(xmlNodePtr node, const char *name)
{
	return node ? (char *)xmlGetProp(node, BAD_CAST name) : NULL;
}

static int replace_disks(struct run *run, xmlNodePtr devices,
			 struct error *error)
{
	xmlNodePtr disk = domain_text_child(devices, "disk");
	int r = 0;

	for (; disk && !r; disk = domain_text_next(disk)) {
		char *kind = attribute(disk, "device");
		char *path =
			attribute(domain_text_child(disk, "source"), "file");
		char *format =
			attribute(domain_text_child(disk, "driver"), "type");

		if (!kind || strcmp(kind, "disk") == 0)
			r = path ? make_stand_in(run, path,
						 format ? format : "raw", error)
				 : error_set(error, -ENOTSUP,
					     "it has a disk that is no file");
		xmlFree(kind);
		xmlFree(path);
		xmlFree(format);
	}
	return r;
}

static int copy_nvram(struct run *run, xmlNodePtr os, struct error *error)
{
	xmlChar *path;
	int r;

	run->uefi = domain_text_child(os, "nvram") != NULL;
	if (!run->uefi)
		return 0;
	path = xmlNodeGetContent(domain_text_child(os, "nvram"));
	snprintf(run->nvram, sizeof(run->nvram), "%.4000s/nvram.fd",
		 run->folder);
	r = disk_copy((char *)path, run->nvram, error);
	xmlFree(path);
	return r;
}

/*
 * Without a state the emulator would make another TPM each time: that of a
 * vault that never ran is made for the probe, and kept (keep_tpm).
 */
static int copy_tpm(struct run *run, struct error *error)
{
	char from[PATH_MAX], folder[PATH_MAX], to[PATH_MAX];
	int r;

	vault_path(run->control, run->vault->uuid, "tpm/tpm2/tpm2-00.permall",
		   from);
	run->new_tpm = access(from, F_OK) != 0;
	snprintf(folder, sizeof(folder), "%.4000s/tpm", run->folder);
	r = folder_make(folder, 0700, error);
	snprintf(to, sizeof(to), "%.4000s/tpm/tpm2", run->folder);
	if (!r && !run->new_tpm)
		r = folder_make(to, 0700, error);
	snprintf(to, sizeof(to), "%.4000s/tpm/tpm2/tpm2-00.permall",
		 run->folder);
	if (!r && !run->new_tpm)
		r = disk_copy(from, to, error);
	return r ? r
		 : hypervisor_place_tpm(run->control->hypervisor, run->uuid,
					folder, error);
}

static int make_parts(struct run *run, const char *xml, struct error *error)
{
	struct domain_facts facts;
	xmlNodePtr root;
	xmlDocPtr document;
	int r = domain_read(xml, &facts, error);

	if (!r)
		r = domain_text_parse(xml, &document, error);
	if (r)
		return r;
	run->memory = facts.memory;
	root = xmlDocGetRootElement(document);
	r = folder_make(run->folder, 0700, error);
	if (!r)
		r = replace_disks(run, domain_text_child(root, "devices"),
				  error);
	if (!r)
		r = copy_nvram(run, domain_text_child(root, "os"), error);
	if (!r && domain_text_child(domain_text_child(root, "devices"), "tpm"))
		r = copy_tpm(run, error);
	if (!r)
		r = write_program(run, error);
	xmlFreeDoc(document);
	return r;
}

/* --- the run ----------------------------------------------------------- */

static unsigned ms_since(const struct timespec *start)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (unsigned)((now.tv_sec - start->tv_sec) * 1000 +
			  (now.tv_nsec - start->tv_nsec) / 1000000);
}

/* As the guest itself would be started, then with the probe in its place. */
static int define(struct run *run, char **text, struct error *error)
{
	char why[ACCELERATOR_WHY_SIZE];
	struct domain_start start = {
		.kvm = machine_is_kvm(run->control, run->vault, why),
		.kernel = run->kernel,
		.stand_ins = run->stand_ins,
		.uuid = run->uuid,
	};
	char *guest = NULL;
	int r;

	*text = NULL;
	r = vault_start_text(run->control, run->vault, run->source, start.kvm,
			     &guest, error);
	if (!r)
		r = make_parts(run, guest, error);
	if (!r) {
		start.stand_in_count = run->disks;
		start.nvram = run->uefi ? run->nvram : NULL;
		r = domain_for_start(guest, &start, text, error);
	}
	free(guest);
	return r;
}

/* In the pages from an address on; -EAGAIN: there is none yet. */
static int find_header(struct run *run, uint64_t address, size_t size,
		       struct probe_header *header, struct error *error)
{
	uint8_t *pages = malloc(size);
	size_t at = 0;
	int r;

	if (!pages)
		return error_set(error, -ENOMEM, "no memory");
	r = hypervisor_peek(run->control->hypervisor, run->uuid, address, pages,
			    size, error);
	if (!r)
		r = -EAGAIN;
	for (; r == -EAGAIN && at < size; at += PROBE_PAGE)
		r = probe_header_check(pages + at, run->memory, header, error);
	free(pages);
	return r;
}

/* It is where it should be, or, under some UEFI firmware, elsewhere. */
static int await_header(struct run *run, struct probe_header *header,
			struct error *error)
{
	/* Each look costs the guest some of its time. */
	const struct timespec pause = {.tv_nsec = (run->uefi ? 20 : 5) * 1000 *
						  1000};
	struct timespec start;
	unsigned looks = 0;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		r = find_header(run,
				run->uefi ? PROBE_UEFI_ADDRESS
					  : PROBE_BIOS_ADDRESS,
				PROBE_PAGE, header, error);
		if (r == -EAGAIN && run->uefi && ++looks % 16 == 0)
			r = find_header(run, 0, PROBE_UEFI_END, header, error);
	} while (r == -EAGAIN && ms_since(&start) < REPORT_SECONDS * 1000 &&
		 !nanosleep(&pause, NULL));
	if (r == -EAGAIN)
		return error_set(error, -ETIMEDOUT,
				 "the probe left no report within %d s: its "
				 "firmware did not start it",
				 REPORT_SECONDS);
	/* libvirt may tell of an end as of a failure to read. */
	if (r && r != -EPROTO && r != -ENOMEM)
		return error_set(error, -EPIPE,
				 "QEMU ended during the probe: killed, or "
				 "crashed; try again, and look into its log");
	return r;
}

static int take_report(struct run *run, struct probe_report **report,
		       struct error *error)
{
	struct probe_header header;
	uint8_t *data = NULL;
	int r = await_header(run, &header, error);

	if (r)
		return r;
	data = malloc(header.size);
	if (!data)
		return error_set(error, -ENOMEM, "no memory");
	r = hypervisor_peek(run->control->hypervisor, run->uuid, header.address,
			    data, header.size, error);
	if (r)
		r = error_set(error, -EPIPE,
			      "QEMU ended while its report was read: killed, "
			      "or crashed; try again");
	else if (crc32(0, data, header.size) != header.crc)
		r = error_set(error, -EPROTO,
			      "the probe's report has a wrong checksum");
	else
		r = probe_report_parse(data, header.size, report, error);
	free(data);
	return r;
}

static int run_once(struct run *run, struct probe_report **report,
		    struct error *error)
{
	unsigned started = 0;
	char *text = NULL;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &run->start);
	r = define(run, &text, error);
	if (!r && run->memory <= PROBE_BIOS_ADDRESS + PROBE_PAGE + PROBE_MAX)
		r = error_set(error, -ENOTSUP,
			      "a guest needs over 18 MiB of memory to be "
			      "probed");
	if (!r)
		r = hypervisor_start(run->control->hypervisor, text, error);
	free(text);
	if (r)
		return r;
	started = ms_since(&run->start);
	r = take_report(run, report, error);
	if (!r) {
		(*report)->read_at = time(NULL);
		(*report)->start_ms = started;
		(*report)->report_ms = ms_since(&run->start);
		run->done = true;
	}
	return r;
}

static int run_locked(struct run *run, struct probe_report **report,
		      struct error *error)
{
	int r, cleaned;

	if (runs(run->control, run->vault->uuid))
		return error_set(error, -EBUSY,
				 "it runs; stop it first: the probe takes its "
				 "place");
	r = choose_name(run, error);
	if (r)
		return r;
	folder_remove(run->folder, NULL);
	r = run_once(run, report, error);
	cleaned = clean_up(run, r ? NULL : error);
	r = r ? r : cleaned;
	if (!r)
		(*report)->total_ms = ms_since(&run->start);
	return r;
}

int probe_run_locked(struct control *control, const struct vault *vault,
		     const struct vault_source *source,
		     struct probe_report **report, struct error *error)
{
	struct run *run = calloc(1, sizeof(*run));
	int r;

	*report = NULL;
	if (!run)
		return error_set(error, -ENOMEM, "no memory");
	run->vault = vault;
	run->source = source;
	set_up(run, control, vault->uuid);
	r = run_locked(run, report, error);
	if (r) {
		probe_report_free(*report);
		*report = NULL;
	}
	free(run);
	return r;
}

int probe_run(struct control *control, const struct vault *vault,
	      struct probe_report **report, struct error *error)
{
	int r = vaults_lock(control->vaults, vault->uuid, false, error);

	*report = NULL;
	if (r)
		return r;
	r = probe_run_locked(control, vault, NULL, report, error);
	vaults_unlock(control->vaults, vault->uuid);
	return r;
}
