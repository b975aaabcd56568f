/*
 * Which QEMU runs a vault: the host's, or the one that the vault carries.
 *
 * A vault may have a QEMU of its own in its folder (machine/, see
 * machine_files.h). It is for the day on which the host's QEMU has no such
 * machine any more, or is gone; the policy machine=own has it used before.
 *
 * It is made aside (machine.next) and appears by one rename; it goes by one
 * rename (machine.old). These are programs: one that was not made here, as
 * after an import, does not run before the owner has agreed. What was agreed
 * to is kept as the digest of its manifest in the catalogue, not in the vault.
 */
#ifndef DAEMON_MACHINE_H
#define DAEMON_MACHINE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>

#include "daemon/accelerator.h"
#include "recorder/error.h"

struct control;
struct vault;

#define MACHINE_WHY_SIZE 240

/*
 * The program for a start or a probe of the vault, and in a sentence why it is
 * that one. Files of the vault's own are verified first: -EBADMSG when they
 * have changed, -EPERM when they are not trusted. -ENOTSUP: neither has the
 * machine.
 */
int machine_emulator(struct control *control, const struct vault *vault,
		     char path[PATH_MAX], char why[MACHINE_WHY_SIZE],
		     struct error *error);

/* accelerator_is_kvm for that program: the host may have no QEMU. */
bool machine_is_kvm(struct control *control, const struct vault *vault,
		    char why[ACCELERATOR_WHY_SIZE]);

/*
 * The member `emulator` of vault show: of ("host", "vault" or "none"), path,
 * why, and own: null, or qemu, package, made_at, digest, bytes and trusted.
 */
json_t *machine_json(struct control *control, const struct vault *vault);

/*
 * By callers who hold the vault's lock. machine_add copies the host's QEMU:
 * -EEXIST when the vault has one, -EBUSY while it runs by it. machine_remove
 * and machine_trust: -ENOENT when it has none.
 */
int machine_add(struct control *control, const struct vault *vault,
		const char *who, struct error *error);
int machine_remove(struct control *control, const struct vault *vault,
		   struct error *error);
int machine_trust(struct control *control, const struct vault *vault,
		  const char *who, struct error *error);

/* Takes away what was interrupted. */
void machine_recover(struct control *control, const struct vault *vault);

/* A line of doctor's: until when the host's QEMU will do. */
struct machine_outlook {
	char machine[32]; /* its type */
	char until[8];	  /* "2028-12", or "" when nothing is known */
	enum { MACHINE_GOOD, MACHINE_AGEING, MACHINE_GONE } state;
	char text[320];
	const char *advice; /* static, or NULL */
};

int machine_outlook(struct control *control, const struct vault *vault,
		    struct machine_outlook *outlook, struct error *error);

/* --- between machine*.c ------------------------------------------------ */

/* What the host's QEMU says (machine_qemu_facts), asked once for each QEMU. */
int machine_host_facts(struct control *control, json_t **facts,
		       struct error *error);

/* The machine type of the vault's definition. */
int machine_type(struct control *control, const struct vault *vault,
		 char *type, size_t size, struct error *error);

/* Whether files of that digest were made here or agreed to; and that they
 * were: agreed "made here", or by whom; NULL takes it back. */
bool machine_is_trusted(struct control *control, const char *digest);
int machine_agree(struct control *control, const char *digest,
		  const char *agreed, struct error *error);

#endif
