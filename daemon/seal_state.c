/*
 * What of a sealed machine lies in the vault's own files: the size of its
 * disks, its TPM's keys, the keys of its Secure Boot. They can be put in
 * another's place without a change of definition or host, and to probe before
 * every start would take seconds; but the files tell by themselves.
 *
 * A TPM's state holds its endorsement keys as TPM2_ReadPublic gives them.
 * Firmware variables: EDK II, MdeModulePkg/Include/Guid/VariableFormat.h; UEFI
 * Platform Initialization 1.7, volume 3, 3.2.1 (the volume they are in).
 */
#include "daemon/seal_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/disk.h"
#include "daemon/snapshot.h"
#include "daemon/vault.h"
#include "recorder/bytes.h"

#define TPM_STATE "tpm/tpm2/tpm2-00.permall"
#define VARIABLES "nvram/vars.fd"
#define FILE_MAX (8u << 20)
#define KEY_TAIL 32 /* bytes; random ones */

static void read_whole(const struct control *control, const struct vault *vault,
		       const char *name, struct buffer *to)
{
	char path[PATH_MAX], block[1 << 14];
	FILE *file;
	size_t n;

	vault_path(control, vault->uuid, name, path);
	file = fopen(path, "re");
	while (file && to->size < FILE_MAX &&
	       (n = fread(block, 1, sizeof(block), file)))
		buffer_put(to, block, n);
	if (file)
		fclose(file);
}

/* --- disks ------------------------------------------------------------- */

/* What is missing or damaged is the business of the start. */
static bool has_sizes(struct control *control, const struct vault *vault)
{
	char folder[PATH_MAX], path[PATH_MAX];
	struct layers *layers;
	bool same = true;

	if (snapshot_layers(control, vault, &layers, NULL))
		return true;
	vault_path(control, vault->uuid, NULL, folder);
	for (unsigned i = 0; i < layers->disk_count; i++) {
		const struct layered_disk *disk = &layers->disks[i];
		const struct layer *active = layers_find(layers, disk->active);
		uint64_t size = disk->size;

		layers_path(folder, active, path);
		disk_size(path, active->format, &size, NULL);
		same = same && size == disk->size;
	}
	free(layers);
	return same;
}

/* --- TPM --------------------------------------------------------------- */

static bool is_key(const struct identity_field *field)
{
	return strcmp(field->name, "tpm.ek") == 0 ||
	       strncmp(field->name, "tpm.ek.", 7) == 0;
}

/* The end of a key, which is its random part. */
static bool holds(const struct buffer *state, const char *hex)
{
	uint8_t tail[KEY_TAIL];
	size_t length = strlen(hex);

	if (length < 2 * KEY_TAIL)
		return false;
	hex += length - 2 * KEY_TAIL;
	for (unsigned i = 0; i < KEY_TAIL; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &tail[i]) != 1)
			return false;
	return state->size &&
	       memmem(state->data, state->size, tail, KEY_TAIL) != NULL;
}

static bool has_keys(const struct control *control, const struct vault *vault,
		     const struct identity *sealed)
{
	struct buffer state = {0};
	bool same = true;

	read_whole(control, vault, TPM_STATE, &state);
	for (size_t i = 0; i < sealed->count; i++)
		if (is_key(&sealed->fields[i]))
			same = same && holds(&state, sealed->fields[i].value);
	buffer_free(&state);
	return same;
}

/* --- keys of Secure Boot ----------------------------------------------- */

static const struct {
	const char *field, *name; /* UTF-16, with its NUL */
	size_t size;
} platform_keys[] = {
	{"uefi.variable.PK", "P\0K\0\0", 6},
	{"uefi.variable.KEK", "K\0E\0K\0\0", 8},
};

/* As the probe's record of a variable; see identity_report.c. */
static void add_variable(struct identity *identity, const char *field,
			 const uint8_t *vendor, uint32_t attributes,
			 const uint8_t *name, size_t name_size,
			 const uint8_t *data, size_t size)
{
	struct buffer record = {0};

	buffer_put(&record, vendor, 16);
	buffer_put_le32(&record, attributes);
	buffer_put_le32(&record, (uint32_t)name_size - 2);
	buffer_put(&record, name, name_size - 2);
	buffer_put(&record, data, size);
	if (!record.failed)
		identity_add_sum(identity, field, record.data, record.size);
	buffer_free(&record);
}

/* One that is valid, or not any more: false behind the last. */
static bool take_variable(struct bytes *b, struct identity *identity)
{
	bool begins = bytes_le16(b) == 0x55aa;
	uint8_t state = bytes_u8(b);
	uint32_t attributes, name_size, size;
	const uint8_t *vendor, *name, *data;

	bytes_u8(b);
	attributes = bytes_le32(b);
	bytes_take(b, 28); /* counter, time, public key */
	name_size = bytes_le32(b);
	size = bytes_le32(b);
	vendor = bytes_take(b, 16);
	name = bytes_take(b, name_size);
	data = bytes_take(b, size);
	if (b->bad || !begins)
		return false;
	bytes_take(b, -b->at & 3);
	for (size_t i = 0; i < sizeof(platform_keys) / sizeof(*platform_keys);
	     i++)
		if ((state | 1) == 0x3f && name_size == platform_keys[i].size &&
		    memcmp(name, platform_keys[i].name, name_size) == 0)
			add_variable(identity, platform_keys[i].field, vendor,
				     attributes, name, name_size, data, size);
	return true;
}

/* Those that a file holds; nothing of what is no such file. */
static void read_variables(const struct buffer *file, struct identity *identity)
{
	struct bytes b = bytes_of(file->data, file->size);
	size_t start;

	bytes_seek(&b, 40);
	if (bytes_le32(&b) != 0x4856465f) /* _FVH */
		return;
	bytes_take(&b, 4);
	start = bytes_le16(&b);
	bytes_seek(&b, start);
	bytes_take(&b, 28); /* head of the variables */
	while (take_variable(&b, identity))
		;
}

static bool is_same(const struct identity *a, const struct identity *b,
		    const char *name)
{
	const struct identity_field *one = identity_find(a, name);
	const struct identity_field *other = identity_find(b, name);

	return one && other ? strcmp(one->value, other->value) == 0
			    : !one && !other;
}

static bool has_platform_keys(const struct control *control,
			      const struct vault *vault,
			      const struct identity *sealed)
{
	struct identity *own = calloc(1, sizeof(*own));
	struct buffer file = {0};
	bool same = own != NULL;

	read_whole(control, vault, VARIABLES, &file);
	if (own)
		read_variables(&file, own);
	same = same && !identity_finish(own, NULL);
	for (size_t i = 0; i < sizeof(platform_keys) / sizeof(*platform_keys);
	     i++)
		same = same && is_same(sealed, own, platform_keys[i].field);
	buffer_free(&file);
	identity_free(own);
	return same;
}

/* --- all of them ------------------------------------------------------- */

/* Without it the guest would get a new one. */
static int check_there(const struct control *control, const struct vault *vault,
		       const char *name, struct error *error)
{
	char path[PATH_MAX];

	vault_path(control, vault->uuid, name, path);
	if (access(path, F_OK) == 0)
		return 0;
	return error_set(error, -EBADMSG,
			 "its %s is missing, though it was sealed: put it back "
			 "from a backup of the vault, or revert to a snapshot, "
			 "which has it",
			 name);
}

int seal_state_check(struct control *control, const struct vault *vault,
		     const struct seal *seal, bool *same, struct error *error)
{
	const struct identity *sealed = seal->identity;
	bool uefi = identity_find(sealed, "uefi.revision") != NULL;
	int r = 0;

	*same = false;
	if (identity_find(sealed, "tpm.ek"))
		r = check_there(control, vault, TPM_STATE, error);
	if (!r && uefi)
		r = check_there(control, vault, VARIABLES, error);
	if (!r)
		*same = has_sizes(control, vault) &&
			has_keys(control, vault, sealed) &&
			(!uefi || has_platform_keys(control, vault, sealed));
	return r;
}
