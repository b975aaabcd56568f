/* What this host's SPICE servers advertise. */
#include "daemon/spice_caps.h"

#include <string.h>

#include "daemon/catalogue.h"
#include "daemon/control.h"
#include "daemon/hypervisor.h"

void spice_caps_store(struct control *control, const struct ipc_caps *caps)
{
	char version[120] = "";

	hypervisor_version(control->hypervisor, version, sizeof(version), NULL);
	/* Not vital: the next start of a guest finds it out again. */
	catalogue_write(control->catalogue,
			"INSERT OR REPLACE INTO fact (name, key, value) "
			"VALUES ('spice-caps', ?, ?)",
			CATALOGUE_VALUES(catalogue_text(version),
					 catalogue_blob(caps, sizeof(*caps))),
			NULL, NULL, NULL);
}

static int take_caps(void *data, const struct catalogue_row *row)
{
	size_t size;
	const void *blob = catalogue_row_blob(row, 0, &size);

	if (size == sizeof(struct ipc_caps))
		memcpy(data, blob, size);
	return 1;
}

void spice_caps_load(struct control *control, struct ipc_caps *caps)
{
	char version[120] = "";

	memset(caps, 0, sizeof(*caps));
	hypervisor_version(control->hypervisor, version, sizeof(version), NULL);
	catalogue_read(control->catalogue,
		       "SELECT value FROM fact "
		       "WHERE name = 'spice-caps' AND key = ?",
		       CATALOGUE_VALUES(catalogue_text(version)), take_caps,
		       caps, NULL);
	if (caps->count > IPC_MAX_CAPS)
		caps->count = 0;
}

bool spice_caps_merge(struct ipc_caps *all, const struct ipc_caps *some)
{
	bool changed = false;

	for (unsigned i = 0; i < some->count && i < IPC_MAX_CAPS; i++) {
		unsigned j = 0;

		while (j < all->count &&
		       all->rows[j].channel_type != some->rows[i].channel_type)
			j++;
		if (j == IPC_MAX_CAPS ||
		    (j < all->count && !memcmp(&all->rows[j], &some->rows[i],
					       sizeof(all->rows[j]))))
			continue;
		all->rows[j] = some->rows[i];
		if (j == all->count)
			all->count++;
		changed = true;
	}
	return changed;
}
