/*
 * Vaults: a row of the catalogue, a folder STATE/vaults/UUID with the
 * definition and the disks, and, while it runs, a guest of the hypervisor.
 *
 * A row is there before its folder and goes after it, and says `ready` only
 * in between; what a crash leaves half-made is removed at the next start.
 */
#ifndef DAEMON_VAULT_H
#define DAEMON_VAULT_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/hypervisor.h"
#include "daemon/job.h"
#include "daemon/policy.h"
#include "recorder/error.h"

struct control;
struct vaults;

struct vault {
	char uuid[37];
	char name[64];
	int64_t created_at; /* us since 1970 */
	int64_t started_at; /* 0: does not run */
	struct policy policy;
	json_t *spec; /* firmware, tpm, os */
	bool crashed;
	char why[240];
	char accelerator[8]; /* of the last start, or "" */
	char accelerator_why[240];
};

/* What vault_create is told. Texts are borrowed; NULL: not given. */
struct vault_spec {
	const char *name;
	uint64_t memory, disk_size; /* bytes; 0: not given */
	unsigned cpus, heads;       /* 0: not given */
	const char *disk, *iso;     /* iso: a path or a URL */
	const char *iso_sha256;     /* hex */
	const char *firmware, *cpu, *os;
	const char *kernel, *initrd, *cmdline;
	bool tpm, secure_boot;
	const char *who;
};

/* What vault_adopt is told. Texts are borrowed; NULL: not given. */
struct vault_adoption {
	const char *name;          /* NULL: the domain's */
	const char *xml;           /* the definition, or: */
	const char *domain, *uri;  /* a domain of a libvirt (qemu:///system) */
	const char *tpm_state;     /* folder of swtpm's state of this guest */
	bool in_place;             /* disks and media stay where they are */
	const char *who;
};

int vaults_new(struct vaults **vaults, struct error *error);
void vaults_free(struct vaults *vaults);

/* After the hypervisor is there: removes what is half-made, and writes down
 * which guests run. */
int vaults_recover(struct control *control, struct error *error);

/* -ENOENT. Release with vault_release. */
int vault_find(struct control *control, const char *name, struct vault *vault,
	       struct error *error);
int vault_find_uuid(struct control *control, const char *uuid,
		    struct vault *vault, struct error *error);
void vault_release(struct vault *vault);

/* STATE/vaults/UUID/name, or the folder for a NULL name. */
void vault_path(const struct control *control, const char *uuid,
		const char *name, char path[PATH_MAX]);

/* job: of one whose medium comes by a URL, which is not there yet; else "". */
int vault_create(struct control *control, const struct vault_spec *spec,
		 char job[JOB_ID_SIZE], struct error *error);
/*
 * Takes a domain over without changing its identity. *report is an object: name,
 * changed and unpinned (arrays of sentences).
 */
int vault_adopt(struct control *control, const struct vault_adoption *adoption,
		json_t **report, struct error *error);
/* force: past a lease that another copy has; see lease_take. */
int vault_start(struct control *control, const char *name, bool force,
		const char *who, struct error *error);
int vault_stop(struct control *control, const char *name, bool force,
	       struct error *error);
int vault_delete(struct control *control, const char *name, const char *who,
		 struct error *error);
int vault_set_policy(struct control *control, const struct vault *vault,
		     const struct policy *policy, struct error *error);

/* Whether sessions can be had: the guest's, or an attached server's. */
enum hypervisor_state vault_state(struct control *control,
				  const struct vault *vault);
/* A new connected socket to its SPICE server, for one channel. */
int vault_open_graphics(struct control *control, const struct vault *vault,
			int *fd, struct error *error);
/* What its SPICE server can do, for the gateway's link replies. */
void vault_learn_caps(struct control *control, const struct vault *vault);

/* For hypervisor_options.changed; data is the struct control. */
void vault_changed(void *data, const char *uuid, enum hypervisor_state state,
		   const char *why);

/* As the API shows it. */
json_t *vault_json(struct control *control, const struct vault *vault);
json_t *vault_policy_json(const struct policy *policy);

/* All vaults, by name; a negative errno when the catalogue fails. */
int vault_list(struct control *control, json_t **list, struct error *error);

/* A definition and a seal that are not the vault's own yet; for probes. */
struct vault_source {
	const char *definition; /* a file */
	const char *seal;       /* a folder, or NULL for none */
};

/*
 * What a start gives to the hypervisor; free() it. -EBUSY: see instance.h.
 * source: NULL for the vault's own.
 */
int vault_start_text(struct control *control, const struct vault *vault,
		     const struct vault_source *source, bool kvm, char **text,
		     struct error *error);

/* Vaults that are being started; vault_run.c's. */
bool vaults_is_starting(struct vaults *vaults, const char *uuid);
/* -EBUSY when it is being changed by another; end with vaults_unlock. */
int vaults_lock(struct vaults *vaults, const char *uuid, bool starting,
		struct error *error);
/* The same for work that can wait: whoever else wants the vault sets *cut, and
 * has it when it is unlocked. */
int vaults_lock_loosely(struct vaults *vaults, const char *uuid,
			volatile bool *cut, struct error *error);
void vaults_unlock(struct vaults *vaults, const char *uuid);

#endif
