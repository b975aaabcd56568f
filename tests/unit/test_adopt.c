/* Domains of others: what stays, what is replaced, what is refused. */
#include "daemon/domain_adopt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>

static const char windows[] =
	"<domain type='kvm' id='3'><name>win</name>"
	"<uuid>5e0a3c1e-8d0c-4f0b-9d56-0123456789ab</uuid>"
	"<genid>43dc0cf8-809b-4adb-9bea-a9abb5f3d90e</genid>"
	"<memory unit='GiB'>4</memory><vcpu cpuset='2-3'>4</vcpu>"
	"<os firmware='efi'><type arch='x86_64' machine='pc-q35-6.2'>hvm</type>"
	"<firmware><feature enabled='yes' name='secure-boot'/></firmware>"
	"<loader readonly='yes' secure='yes' type='pflash'>/o/code.fd</loader>"
	"<nvram template='/o/t.fd'>/o/win_VARS.fd</nvram></os>"
	"<features><acpi/><hyperv mode='custom'><relaxed state='on'/></hyperv>"
	"<smm state='on'/></features>"
	"<cpu mode='host-passthrough' migratable='on'/>"
	"<clock offset='localtime'><timer name='hypervclock' present='yes'/>"
	"</clock><cputune><vcpupin vcpu='0' cpuset='2'/></cputune><devices>"
	"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
	"<source file='/img/a.qcow2'/><target dev='sda' bus='sata'/>"
	"<address type='drive' controller='0' bus='0' target='0' unit='0'/>"
	"</disk><disk type='file' device='disk'><source file='/img/b.raw'/>"
	"<target dev='vda' bus='virtio'/><serial>B1</serial></disk>"
	"<disk type='file' device='cdrom'><source file='/img/cd.iso'/>"
	"<target dev='sdc' bus='sata'/><readonly/>"
	"<address type='drive' controller='0' bus='0' target='0' unit='2'/>"
	"</disk><controller type='sata' index='0'/>"
	"<interface type='bridge'><mac address='52:54:00:00:00:01'/>"
	"<source bridge='br0'/><target dev='vnet3'/><model type='virtio'/>"
	"<driver name='vhost'/></interface>"
	"<interface type='network'><mac address='52:54:00:00:00:02'/>"
	"<source network='default'/><model type='e1000e'/></interface>"
	"<serial type='tcp'><source mode='bind' host='0.0.0.0' service='4555'/>"
	"<protocol type='telnet'/></serial><console type='tcp'>"
	"<source mode='bind' host='0.0.0.0' service='4555'/>"
	"<target type='serial' port='0'/></console>"
	"<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>"
	"<graphics type='vnc' port='5901' listen='0.0.0.0' passwd='secret'/>"
	"<audio id='1' type='pulseaudio'/><sound model='ich9'/>"
	"<video><model type='qxl' heads='1' primary='yes'/></video>"
	"<video><model type='qxl' heads='1'/></video></devices>"
	"<seclabel type='dynamic' model='apparmor' relabel='yes'/></domain>";

static char changes[4000], gaps[4000];

static void note(char *to, const char *text)
{
	snprintf(to + strlen(to), 4000 - strlen(to), "%s\n", text);
}

static void note_changed(void *data, const char *text)
{
	(void)data;
	note(changes, text);
}

static void note_unpinned(void *data, const char *text)
{
	(void)data;
	note(gaps, text);
}

/* Everything goes below /v; the CD-ROM's medium is gone. */
static int take(void *data, const struct domain_file *file, char *place,
		struct error *error)
{
	(void)error;
	note(data, file->path);
	sprintf(place, "/v/%d", (int)file->kind);
	if (file->kind == DOMAIN_FILE_MEDIUM)
		place[0] = '\0';
	return 0;
}

static char files[4000];
static const struct domain_adoption adoption = {
	.name = "kept",
	.emulator = "/usr/bin/qemu",
	.bios = "/v/fw/bios",
	.notes = {note_changed, note_unpinned, NULL},
	.file = take,
	.data = files,
};

static int forget(void **state)
{
	(void)state;
	changes[0] = gaps[0] = files[0] = '\0';
	return 0;
}

/* Both steps; the caller frees it. */
static char *adopt(const char *xml)
{
	struct error e = {0};
	char *plain, *text = NULL;

	if (domain_adopt(xml, &adoption, &plain, &e) < 0 ||
	    domain_adopt_finish(plain, &adoption, &text, &e) < 0)
		fail_msg("%s", e.text);
	free(plain);
	return text;
}

static void what_the_guest_sees_stays(void **state)
{
	static const char *const kept[] = {
		"5e0a3c1e-8d0c-4f0b-9d56-0123456789ab",
		"43dc0cf8-809b-4adb-9bea-a9abb5f3d90e",
		"machine=\"pc-q35-6.2\"",
		"<relaxed state=\"on\"/>",
		"<smm state=\"on\"/>",
		"mode=\"host-passthrough\" migratable=\"on\"",
		"offset=\"localtime\"",
		"hypervclock",
		"bus=\"sata\"",
		"<serial>B1</serial>",
		"address=\"52:54:00:00:00:01\"",
		"<model type=\"virtio\"/>",
		"address=\"52:54:00:00:00:02\"",
		"secure=\"yes\"",
		"tpm-crb",
		"<sound model=\"ich9\">",
		"<model type=\"qxl\" heads=\"1\" primary=\"yes\"/>",
		"<model type=\"qxl\" heads=\"1\"/>",
	};
	char *text = adopt(windows);

	(void)state;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (!strstr(text, kept[i]))
			fail_msg("not kept: %s", kept[i]);
	assert_non_null(strstr(gaps, "host-passthrough"));
	assert_non_null(strstr(gaps, "named model such as"));
	assert_non_null(strstr(gaps, "genid"));
	assert_non_null(strstr(gaps, "offloads"));
	free(text);
}

static void the_host_side_is_replaced(void **state)
{
	static const char *const gone[] = {
		"secret", "5901",     "4555",    "vnc",       "br0",
		"vnet3",  "vhost",    "default", "seclabel",  "cputune",
		"cpuset", "id=\"3\"", "pulse",   "firmware=", "template",
		"/img/",  "/o/",
	};
	char *text = adopt(windows);

	(void)state;
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		if (strstr(text, gone[i]))
			fail_msg("still there: %s", gone[i]);
	assert_non_null(strstr(text, "<name>kept</name>"));
	assert_non_null(strstr(text, "<listen type=\"none\"/>"));
	assert_non_null(strstr(text, "hubport,id=isolated,hubid=0"));
	assert_non_null(strstr(text, "hubport,id=isolated1,hubid=1"));
	assert_non_null(strstr(text, "alias=\"ua-net1\""));
	assert_non_null(strstr(changes, "vnc on 0.0.0.0, with its password"));
	assert_non_null(strstr(changes, "bridge br0"));
	free(text);
}

static void files_get_their_places(void **state)
{
	char *text = adopt(windows);

	(void)state;
	assert_string_equal(files, "/o/code.fd\n/o/win_VARS.fd\n/img/a.qcow2\n"
				   "/img/b.raw\n/img/cd.iso\n");
	assert_non_null(strstr(text, "<nvram>/v/3</nvram>"));
	assert_non_null(strstr(text, "type=\"pflash\">/v/2</loader>"));
	assert_non_null(strstr(text, "<source file=\"/v/0\"/>"));
	assert_null(strstr(text, "/v/1"));
	/* What QEMU counted is written down. */
	assert_non_null(strstr(text, "<serial>QM00001</serial>"));
	assert_non_null(strstr(text, "<serial>QM00005</serial>"));
	assert_non_null(strstr(changes, "sda: its serial number QM00001"));
	free(text);
}

static void a_bios_machine_gets_its_own(void **state)
{
	char *text = adopt("<domain type='qemu'><name>a</name><uuid>"
			   "5e0a3c1e-8d0c-4f0b-9d56-0123456789ab</uuid>"
			   "<memory>1</memory><vcpu>1</vcpu><os><type>hvm"
			   "</type></os><devices/></domain>");

	(void)state;
	assert_non_null(strstr(text, "type=\"rom\">/v/fw/bios</loader>"));
	assert_non_null(strstr(gaps, "no model is named"));
	free(text);
}

/* The example with `from` replaced by `to` is refused with `why`. */
static void refuse(const char *from, const char *to, const char *why)
{
	const char *at = strstr(windows, from);
	struct error e = {0};
	char xml[8000], *text;

	assert_non_null(at);
	snprintf(xml, sizeof(xml), "%.*s%s%s", (int)(at - windows), windows, to,
		 at + strlen(from));
	assert_int_equal(domain_adopt_check(xml, &e), -EINVAL);
	if (!strstr(e.text, why))
		fail_msg("%s", e.text);
	assert_int_equal(domain_adopt(xml, &adoption, &text, &e), -EINVAL);
	assert_null(text);
}

static void what_cannot_be_carried_is_refused(void **state)
{
	(void)state;
	assert_int_equal(domain_adopt_check(windows, NULL), 0);
	refuse("type='kvm'", "type='xen'", "not a guest of QEMU");
	refuse("x86_64", "aarch64", "aarch64");
	refuse("<uuid>5e0a3c1e-8d0c-4f0b-9d56-0123456789ab</uuid>", "", "UUID");
	refuse("<nvram template='/o/t.fd'>/o/win_VARS.fd</nvram>", "",
	       "UEFI variables");
	refuse("<mac address='52:54:00:00:00:02'/>", "", "MAC");
	refuse("type='bridge'", "type='hostdev'", "network card");
	refuse("'file' device='disk'", "'network' device='disk'", "sda");
	refuse("<source file='/img/a.qcow2'/>",
	       "<source file='/a'/><backingStore type='file'>"
	       "<source file='/b'/></backingStore>",
	       "backing file");
	refuse("type='emulator'", "type='passthrough'", "TPM");
	refuse("<video>", "<hostdev/><video>", "hostdev");
	refuse("<video>", "<filesystem/><video>", "shared");
	refuse("<video>", "<input type='evdev'/><video>", "input");
	refuse("</devices>",
	       "</devices><commandline><arg value='-vnc'/></commandline>",
	       "-vnc");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_the_guest_sees_stays, forget),
		cmocka_unit_test_setup(the_host_side_is_replaced, forget),
		cmocka_unit_test_setup(files_get_their_places, forget),
		cmocka_unit_test_setup(a_bios_machine_gets_its_own, forget),
		cmocka_unit_test_setup(what_cannot_be_carried_is_refused,
				       forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
