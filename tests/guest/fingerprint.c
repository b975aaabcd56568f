/* The machine's identity, as Linux shows it. */
#include "fingerprint.h"

#include <cpuid.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/hdreg.h>

/* Keeps printable characters, drops blanks at both ends. */
static void add(struct fingerprint *f, const char *name, const char *text,
		size_t size)
{
	struct field *field = &f->fields[f->n++];
	size_t n = 0;

	field->name = name;
	for (size_t i = 0; i < size && text[i] && n < FIELD_TEXT - 1; i++)
		if ((n || text[i] != ' ') && text[i] >= ' ' && text[i] < 0x7f)
			field->value[n++] = text[i];
	while (n && field->value[n - 1] == ' ')
		n--;
	field->value[n] = 0;
}

static size_t slurp(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, room);

	if (fd >= 0)
		close(fd);
	return n > 0 ? (size_t)n : 0;
}

static void add_smbios(struct fingerprint *f)
{
	static const char *const names[][2] = {
		{"system-vendor", "sys_vendor"},
		{"system-product", "product_name"},
		{"system-version", "product_version"},
		{"system-serial", "product_serial"},
		{"system-uuid", "product_uuid"},
		{"board-vendor", "board_vendor"},
		{"board-product", "board_name"},
		{"board-serial", "board_serial"},
		{"chassis-serial", "chassis_serial"},
		{"bios-vendor", "bios_vendor"},
		{"bios-version", "bios_version"},
		{"bios-date", "bios_date"},
	};
	char path[64], text[FIELD_TEXT];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "/sys/class/dmi/id/%s",
			 names[i][1]);
		add(f, names[i][0], text, slurp(path, text, sizeof(text)));
	}
}

static void add_cpu(struct fingerprint *f)
{
	unsigned r[12] = {0}, a, b, c, d;
	char text[32];

	__cpuid(0, a, b, c, d);
	memcpy(text, (unsigned[]){b, d, c}, 12);
	add(f, "cpu-vendor", text, 12);
	__cpuid(1, a, b, c, d);
	snprintf(text, sizeof(text), "%08x", a);
	add(f, "cpu-signature", text, sizeof(text));
	__cpuid(0x80000000, a, b, c, d);
	for (unsigned i = 0; i < 3 && a >= 0x80000004; i++)
		__cpuid(0x80000002 + i, r[4 * i], r[4 * i + 1], r[4 * i + 2],
			r[4 * i + 3]);
	add(f, "cpu-brand", (char *)r, sizeof(r));
}

static void add_disk(struct fingerprint *f, int disk)
{
	struct hd_driveid id = {0};

	if (ioctl(disk, HDIO_GET_IDENTITY, &id) != 0)
		memset(&id, 0, sizeof(id));
	add(f, "disk-model", (char *)id.model, sizeof(id.model));
	add(f, "disk-serial", (char *)id.serial_no, sizeof(id.serial_no));
	add(f, "disk-firmware", (char *)id.fw_rev, sizeof(id.fw_rev));
}

static void add_mac(struct fingerprint *f)
{
	char text[FIELD_TEXT] = "";
	size_t n = 0;
	glob_t g;

	if (glob("/sys/class/net/e*/address", 0, NULL, &g) != 0)
		g.gl_pathc = 0;
	for (size_t i = 0; i < g.gl_pathc && n < sizeof(text) - 18; i++) {
		n += slurp(g.gl_pathv[i], text + n, 17);
		text[n++] = ' ';
	}
	globfree(&g);
	add(f, "mac", text, n);
}

void fingerprint_read(struct fingerprint *f, int disk)
{
	memset(f, 0, sizeof(*f));
	add_smbios(f);
	add_cpu(f);
	add_disk(f, disk);
	add_mac(f);
}
