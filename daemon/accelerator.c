/* How guests run on this host. */
#include "daemon/accelerator.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "daemon/catalogue.h"
#include "daemon/config.h"
#include "daemon/kvm_trial.h"
#include "daemon/log.h"

struct accelerator {
	struct catalogue *catalogue;
	const struct config *config;
	pthread_mutex_t lock;
	bool known, kvm;
	char why[ACCELERATOR_WHY_SIZE];
};

int accelerator_new(struct accelerator **accelerator,
		    struct catalogue *catalogue, const struct config *config,
		    struct error *error)
{
	struct accelerator *a = calloc(1, sizeof(*a));

	*accelerator = a;
	if (!a)
		return error_set(error, -ENOMEM, "no memory");
	a->catalogue = catalogue;
	a->config = config;
	pthread_mutex_init(&a->lock, NULL);
	return 0;
}

void accelerator_free(struct accelerator *accelerator)
{
	if (!accelerator)
		return;
	pthread_mutex_destroy(&accelerator->lock);
	free(accelerator);
}

static void cpu_model(char *model, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];

	snprintf(model, size, "?");
	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, "model name", 10) && strchr(line, ':')) {
			snprintf(model, size, "%s", strchr(line, ':') + 2);
			model[strcspn(model, "\n")] = '\0';
			break;
		}
	if (file)
		fclose(file);
}

/* What the result depends on. */
static void make_key(const char *emulator, char *key, size_t size)
{
	struct stat st = {0}, device = {0};
	struct utsname kernel = {0};
	char model[160];

	uname(&kernel);
	cpu_model(model, sizeof(model));
	stat(emulator, &st);
	stat("/dev/kvm", &device);
	snprintf(key, size, "%s %s|%s|%s %lld %lld|%o %u:%u", kernel.release,
		 kernel.version, model, emulator, (long long)st.st_size,
		 (long long)st.st_mtime, device.st_mode, device.st_uid,
		 device.st_gid);
}

static int take_fact(void *data, const struct catalogue_row *row)
{
	struct accelerator *a = data;
	const char *text = catalogue_row_text(row, 0);

	a->kvm = !strncmp(text, "kvm ", 4);
	snprintf(a->why, sizeof(a->why), "%s", text + 4);
	return 1;
}

static void try_and_keep(struct accelerator *a, const char *emulator,
			 const char *key)
{
	char text[ACCELERATOR_WHY_SIZE + 4];
	struct error error = {0};

	if (kvm_trial(emulator, &a->kvm, a->why, sizeof(a->why), &error)) {
		/* Not kept: the next start of the daemon tries again. */
		a->kvm = false;
		snprintf(a->why, sizeof(a->why), "KVM was not tried: %.200s",
			 error.text);
		return;
	}
	log_info("guests run by %s: %s", a->kvm ? "KVM" : "TCG", a->why);
	snprintf(text, sizeof(text), "%s %s", a->kvm ? "kvm" : "tcg", a->why);
	if (catalogue_write(
		    a->catalogue,
		    "INSERT OR REPLACE INTO fact (name, key, value) "
		    "VALUES ('accelerator', ?, ?)",
		    CATALOGUE_VALUES(catalogue_text(key),
				     catalogue_blob(text, strlen(text))),
		    NULL, NULL, &error) < 0)
		log_warning("%s", error.text);
}

static void find_out(struct accelerator *a, const char *emulator)
{
	char key[1600];

	if (strcmp(a->config->accelerator, "auto")) {
		a->kvm = !strcmp(a->config->accelerator, "kvm");
		snprintf(a->why, sizeof(a->why), "configured so");
		return;
	}
	make_key(emulator, key, sizeof(key));
	if (catalogue_read(a->catalogue,
			   "SELECT CAST(value AS TEXT) FROM fact "
			   "WHERE name = 'accelerator' AND key = ?",
			   CATALOGUE_VALUES(catalogue_text(key)), take_fact, a,
			   NULL) != 1)
		try_and_keep(a, emulator, key);
}

bool accelerator_is_kvm_by(struct accelerator *a, const char *emulator,
			   char why[ACCELERATOR_WHY_SIZE])
{
	bool kvm;

	pthread_mutex_lock(&a->lock);
	if (!a->known)
		find_out(a, emulator);
	/* Without a QEMU nothing was found out. */
	a->known = access(emulator, X_OK) == 0;
	kvm = a->kvm;
	memcpy(why, a->why, sizeof(a->why));
	pthread_mutex_unlock(&a->lock);
	return kvm;
}

bool accelerator_is_kvm(struct accelerator *a, char why[ACCELERATOR_WHY_SIZE])
{
	return accelerator_is_kvm_by(a, a->config->emulator, why);
}
