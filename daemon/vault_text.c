/* The definition with which a vault's guest is started, or probed. */
#include "daemon/vault.h"

#include <stdlib.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/domain.h"
#include "daemon/firmware.h"
#include "daemon/folder.h"
#include "daemon/instance.h"
#include "daemon/machine.h"
#include "daemon/snapshot.h"

#define DEFINITION_MAX (1 << 20)

/* The layers of its disks, and their paths. */
struct chains {
	struct layers *layers;
	struct domain_chain disks[LAYERS_DISKS];
	struct domain_layer images[LAYERS_MAX];
	char paths[LAYERS_MAX][PATH_MAX];
	unsigned count; /* of images */
};

static int read_chain(struct chains *chains, unsigned n, const char *folder,
		      struct error *error)
{
	struct layers *layers = chains->layers;
	const struct layer *layer =
		layers_find(layers, layers->disks[n].active);
	struct domain_chain *chain = &chains->disks[n];

	chain->target = layers->disks[n].target;
	chain->layers = &chains->images[chains->count];
	for (; layer; layer = layers_find(layers, layer->backing)) {
		char *path = chains->paths[chains->count];

		layers_path(folder, layer, path);
		if (access(path, F_OK))
			return error_errno(error, errno,
					   "its disk %s is missing: put it "
					   "back from a backup",
					   path);
		chains->images[chains->count++] =
			(struct domain_layer){path, layer->format};
		chain->count++;
	}
	return 0;
}

static int make_text(struct control *control, const struct vault *vault,
		     const char *xml, struct domain_start *options, char **text,
		     struct error *error)
{
	struct chains *chains = calloc(1, sizeof(*chains));
	int r;

	if (!chains)
		return error_set(error, -ENOMEM, "no memory");
	r = snapshot_layers(control, vault, &chains->layers, error);
	for (unsigned i = 0; !r && i < chains->layers->disk_count; i++)
		r = read_chain(chains, i, options->folder, error);
	if (!r) {
		options->chains = chains->disks;
		options->chain_count = chains->layers->disk_count;
		r = domain_for_start(xml, options, text, error);
	}
	free(chains->layers);
	free(chains);
	return r;
}

/* The vault's folder of that name as an option of a start, or NULL. */
static const char *own_folder(const char *path, bool there)
{
	return there ? path : NULL;
}

int vault_start_text(struct control *control, const struct vault *vault,
		     const struct vault_source *source, bool kvm, char **text,
		     struct error *error)
{
	char path[PATH_MAX], log[PATH_MAX], folder[PATH_MAX], pidfile[PATH_MAX];
	char firmware[PATH_MAX], seal[PATH_MAX], *xml = NULL;
	char emulator[PATH_MAX], why[MACHINE_WHY_SIZE];
	struct domain_start options = {
		.kvm = kvm,
		.emulator = emulator,
		.serial_log = log,
		.folder = folder,
		.name = vault->name,
	};
	int r;

	vault_path(control, vault->uuid, NULL, folder);
	vault_path(control, vault->uuid, "serial.log", log);
	vault_path(control, vault->uuid, "fw", firmware);
	vault_path(control, vault->uuid, "seal", seal);
	options.firmware = own_folder(firmware, firmware_is_there(firmware));
	options.seal = source ? source->seal
			      : own_folder(seal, access(seal, F_OK) == 0);
	vault_path(control, vault->uuid, "domain.xml", path);
	r = folder_read(source ? source->definition : path, DEFINITION_MAX,
			&xml, error);
	if (!r)
		r = machine_emulator(control, vault, emulator, why, error);
	if (!r)
		r = instance_file(control, xml, pidfile, error);
	if (!r)
		options.pidfile = own_folder(pidfile, pidfile[0]);
	if (!r)
		r = make_text(control, vault, xml, &options, text, error);
	free(xml);
	return r;
}
