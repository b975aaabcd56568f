/*
 * A lease, as it may come in a bundle, with its record. What is read can be
 * written and is the same again; texts hold nothing that steers a terminal.
 */
#include "daemon/lease_file.h"
#include "daemon/lease_record.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t room)
{
	if (strnlen(text, room) >= room)
		abort();
	for (; *text; text++)
		if ((unsigned char)*text < ' ')
			abort();
}

static void write_and_read(const struct lease *lease)
{
	static char path[] = "/tmp/fuzz_lease.XXXXXX";
	static int fd = -1;
	struct lease again;

	if (fd < 0 && (fd = mkstemp(path)) < 0)
		abort();
	if (lease_file_write(path, lease, NULL) ||
	    lease_file_read(path, &again, NULL) ||
	    again.state != lease->state || again.epoch != lease->epoch ||
	    strcmp(again.token, lease->token) != 0 ||
	    strcmp(again.folder, lease->folder) != 0 ||
	    !again.record != !lease->record)
		abort();
	lease_file_release(&again);
	unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lease lease;
	struct lease_fence fence;
	char *text = malloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	if (!lease_file_parse(text, &lease, NULL)) {
		check_text(lease.host_name, sizeof(lease.host_name));
		check_text(lease.vault, sizeof(lease.vault));
		check_text(lease.folder, sizeof(lease.folder));
		check_text(lease.who, sizeof(lease.who));
		if (!lease_record_read_fence(lease.record, &fence, NULL) &&
		    (!fence.id || !fence.host || fence.epoch < 1))
			abort();
		write_and_read(&lease);
	}
	lease_file_release(&lease);
	free(text);
	return 0;
}
