/* mediavmd: one program, three roles; see control.h, gateway.h and job.h. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/attach_tunnel.h"
#include "daemon/config.h"
#include "daemon/control.h"
#include "daemon/gateway.h"
#include "daemon/hypervisor.h"
#include "daemon/job.h"
#include "daemon/log.h"

static const char help[] =
	"Usage: mediavmd [OPTION]...\n"
	"       mediavmd [OPTION]... config check\n"
	"\n"
	"Keeps vaults, lets viewers in, records what they do.\n"
	"\n"
	"  --config FILE            read FILE instead of " CONFIG_FILE "\n"
	"  --state DIR              folder of catalogue, vaults and "
	"recordings\n"
	"  --run DIR                folder of the sockets\n"
	"  --set SECTION.KEY=VALUE  as in the configuration; may be repeated\n"
	"  --help                   this text\n"
	"\n"
	"config check reads the configuration and says what is wrong with it.\n"
	"SIGTERM ends the daemon and leaves guests and viewers in peace; "
	"Ctrl-C\n"
	"sends the viewers away, too.\n";

/* "section.key=value" */
static int set_option(struct config *config, const char *text,
		      struct error *error)
{
	char copy[1024];
	char *dot, *equals;

	snprintf(copy, sizeof(copy), "%s", text);
	dot = strchr(copy, '.');
	equals = dot ? strchr(dot, '=') : NULL;
	if (!equals)
		return error_set(error, -EINVAL,
				 "--set wants SECTION.KEY=VALUE, not \"%s\"",
				 text);
	*dot = *equals = '\0';
	return config_set(config, copy, dot + 1, equals + 1, error);
}

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"state", required_argument, NULL, 's'},
	{"run", required_argument, NULL, 'r'},
	{"set", required_argument, NULL, 'S'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

/* The file first, whatever the order: options have the last word. */
static int read_file(struct config *config, int argc, char **argv,
		     struct error *error)
{
	const char *path = NULL;
	int c, r;

	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (c == 'c')
			path = optarg;
	r = config_read(config, path ? path : CONFIG_FILE, error);
	if (r == -ENOENT && !path)
		return 0;
	return r;
}

/* 0; 1 when all is said (help); negative: an error. */
static int read_options(struct config *config, int argc, char **argv,
			struct error *error)
{
	int c, r = 0;

	optind = 1;
	while (!r && (c = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (c) {
		case 's':
			r = config_set(config, "daemon", "state", optarg,
				       error);
			break;
		case 'r':
			r = config_set(config, "daemon", "run", optarg, error);
			break;
		case 'S':
			r = set_option(config, optarg, error);
			break;
		case 'h':
			fputs(help, stdout);
			return 1;
		case 'c':
			break;
		default:
			return error_set(error, -EINVAL,
					 "option %s is unknown, or lacks its "
					 "value; see mediavmd --help",
					 argv[optind - 1]);
		}
	return r;
}

static int control_role(int argc, char **argv)
{
	struct error error = {0};
	struct config config;
	bool check;
	int r;

	config_default(&config);
	r = read_file(&config, argc, argv, &error);
	if (!r)
		r = read_options(&config, argc, argv, &error);
	if (r > 0)
		return 0;
	if (r < 0) {
		log_error("%s", error.text);
		return r == -EINVAL ? 2 : 1;
	}
	check = argc - optind == 2 && !strcmp(argv[optind], "config") &&
		!strcmp(argv[optind + 1], "check");
	if (argc != optind && !check) {
		log_error("unknown word \"%s\"; see mediavmd --help",
			  argv[optind]);
		return 2;
	}
	if (check) {
		puts("the configuration is right");
		return 0;
	}
	return control_main(&config);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "gateway"))
		return gateway_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "job"))
		return job_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "tunnel"))
		return attach_tunnel_main(argc - 1, argv + 1);
	if (argc > 1 && !strcmp(argv[1], "definition"))
		return hypervisor_foreign_main(argc - 1, argv + 1);
	return control_role(argc, argv);
}
