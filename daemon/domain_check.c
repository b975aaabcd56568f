/* What a domain_spec may hold, and what follows from it; see domain.h. */
#include "daemon/domain_parts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <libxml/xmlstring.h>

#define MIB (UINT64_C(1) << 20)
#define MEMORY_MAX (UINT64_C(1) << 40)

int domain_name_check(const char *name, struct error *error)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t length = strlen(name);

	if (length >= 1 && length <= 63 && strspn(name, letters) == length &&
	    isalnum((unsigned char)name[0]))
		return 0;
	return error_set(error, EINVAL,
			 "'%.80s' is not a name; use 1 to 63 of a-z A-Z 0-9 . "
			 "_ -, and a letter or digit first",
			 name);
}

static bool begins(const char *text, const char *with)
{
	return strncasecmp(text, with, strlen(with)) == 0;
}

struct domain_kind domain_kind_of(const struct domain_spec *spec)
{
	static const char *const old[] = {"win9",     "winme",  "winnt",
					  "win2k3",   "win2k8", "winxp",
					  "winvista", "win7"};
	const char *os = spec->os_id ? spec->os_id : "";
	struct domain_kind kind = {.windows = begins(os, "win")};

	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
		if (begins(os, old[i]))
			kind.old_windows = true;
	if (strcasecmp(os, "win2k") == 0)
		kind.old_windows = true;
	kind.secure_boot = spec->uefi &&
			   (spec->secure_boot || (kind.windows && spec->tpm));
	return kind;
}

/* Absolute, and of characters that XML can hold. */
static int check_text(const char *what, const char *text, bool is_path,
		      struct error *error)
{
	if (!text)
		return 0;
	if (is_path && text[0] != '/')
		return error_set(error, EINVAL,
				 "the path of the %s is not absolute: %s", what,
				 text);
	if (!xmlCheckUTF8(BAD_CAST text))
		return error_set(error, EINVAL, "the %s is not UTF-8", what);
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return error_set(error, EINVAL,
					 "a control character in the %s", what);
	return 0;
}

static int check_texts(const struct domain_spec *spec, struct error *error)
{
	const struct {
		const char *what, *text;
	} paths[] = {
		{"disk", spec->disk},
		{"ISO", spec->iso},
		{"kernel", spec->kernel},
		{"initrd", spec->initrd},
		{"firmware", spec->firmware},
		{"firmware variables", spec->nvram},
	};
	int result;

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		result = check_text(paths[i].what, paths[i].text, true, error);
		if (result < 0)
			return result;
	}
	return check_text("kernel command line", spec->cmdline, false, error);
}

/* A word that becomes part of QEMU's command line. */
static bool is_word(const char *text)
{
	size_t length = strlen(text);

	if (length < 1 || length > 40)
		return false;
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("._-", *text))
			return false;
	return true;
}

static int check_cpu(const char *model, struct error *error)
{
	if (!model)
		return 0;
	if (begins(model, "host") || strcmp(model, "max") == 0)
		return error_set(error, EINVAL,
				 "the CPU model '%s' is another one on each "
				 "host; name a fixed model such as %s",
				 model, DOMAIN_CPU_MODEL);
	if (!is_word(model))
		return error_set(error, EINVAL, "'%.60s' is not a CPU model",
				 model);
	return 0;
}

/* A versioned upstream type: "pc-q35-7.2". */
static int check_machine(const char *machine, struct error *error)
{
	unsigned major, minor;
	int end = 0;

	if (!machine ||
	    (sscanf(machine, "pc-q35-%2u.%2u%n", &major, &minor, &end) == 2 &&
	     machine[end] == '\0'))
		return 0;
	return error_set(error, EINVAL,
			 "'%.60s' is not a versioned machine type such as %s",
			 machine, DOMAIN_MACHINE);
}

static bool is_uuid(const char *text)
{
	for (int i = 0; i < 36; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23
			    ? text[i] != '-'
			    : !isxdigit((unsigned char)text[i]))
			return false;
	return text[36] == '\0';
}

static int check_sizes(const struct domain_spec *spec, struct error *error)
{
	if (spec->memory < 16 * MIB || spec->memory > MEMORY_MAX ||
	    spec->memory % MIB)
		return error_set(error, EINVAL,
				 "the memory must be whole MiB, from 16 MiB to "
				 "1 TiB");
	if (spec->cpus < 1 || spec->cpus > 64)
		return error_set(error, EINVAL,
				 "%u processors; 1 to 64 are possible",
				 spec->cpus);
	if (spec->heads < 1 || spec->heads > 4)
		return error_set(error, EINVAL,
				 "%u monitors; 1 to 4 are possible",
				 spec->heads);
	return 0;
}

int domain_check(const struct domain_spec *spec, struct error *error)
{
	int result = domain_name_check(spec->name, error);

	if (result < 0 || (result = check_sizes(spec, error)) < 0 ||
	    (result = check_cpu(spec->cpu_model, error)) < 0 ||
	    (result = check_machine(spec->machine, error)) < 0 ||
	    (result = check_texts(spec, error)) < 0)
		return result;
	if (!is_uuid(spec->uuid))
		return error_set(error, EINVAL, "'%.60s' is not a UUID",
				 spec->uuid);
	if (spec->os_id && !is_word(spec->os_id))
		return error_set(error, EINVAL,
				 "'%.60s' is not an operating system's id such "
				 "as win10 or debian12",
				 spec->os_id);
	if (spec->disk &&
	    (!spec->disk_format || (strcmp(spec->disk_format, "qcow2") != 0 &&
				    strcmp(spec->disk_format, "raw") != 0)))
		return error_set(error, EINVAL,
				 "a vault's disk is a qcow2 or a raw image");
	if (!spec->kernel && (spec->initrd || spec->cmdline))
		return error_set(error, EINVAL,
				 "an initrd or a kernel command line without a "
				 "kernel");
	if (spec->secure_boot && !spec->uefi)
		return error_set(error, EINVAL,
				 "Secure Boot needs UEFI firmware");
	if (spec->uefi && (!spec->firmware || !spec->nvram))
		return error_set(error, EINVAL,
				 "UEFI needs the vault's copies of the "
				 "firmware and its variables");
	return 0;
}

int domain_firmware(const struct domain_spec *spec, const char **code,
		    const char **variables, struct error *error)
{
	bool secure = domain_kind_of(spec).secure_boot;

	*code = secure ? "/usr/share/OVMF/OVMF_CODE_4M.ms.fd"
		       : "/usr/share/OVMF/OVMF_CODE_4M.fd";
	*variables = secure ? "/usr/share/OVMF/OVMF_VARS_4M.ms.fd"
			    : "/usr/share/OVMF/OVMF_VARS_4M.fd";
	if (access(*code, R_OK) == 0 && access(*variables, R_OK) == 0)
		return 0;
	return error_set(error, ENOENT,
			 "there is no UEFI firmware at %s; install the "
			 "package ovmf",
			 *code);
}
