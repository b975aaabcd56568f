/* mediavmctl: the command line. */
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl.h"

#define DEFAULT_SOCKET "/run/mediavm/api.sock"

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/*
 * Help, asked for by `help` as the first word or --help anywhere; the words
 * beside it that are no options say of what. False: no help was asked for.
 */
static bool asks_help(int count, char **words, const char *about[2])
{
	bool found = false;
	int i, n = 0;

	about[0] = about[1] = NULL;
	for (i = 0; i < count && strcmp(words[i], "--") != 0; i++) {
		if (is_help(words[i]) ||
		    (n == 0 && !found && strcmp(words[i], "help") == 0))
			found = true;
		else if (strcmp(words[i], "--socket") == 0)
			i++; /* its value is no word of a command */
		else if (words[i][0] != '-' && n < 2)
			about[n++] = words[i];
	}
	return found;
}

/* Also when the words are wrong otherwise. */
static bool wants_json(int count, char **words)
{
	for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++)
		if (strcmp(words[i], "--json") == 0)
			return true;
	return false;
}

/* A name becomes one part of a path of the API. */
static int check_name(const struct ctl *ctl, struct error *error)
{
	const char *wanted = ctl->command->arguments;
	const char *name = ctl->arguments[0];

	if (!ctl->count ||
	    (strncmp(wanted, "NAME", 4) != 0 && strcmp(wanted, "ID") != 0) ||
	    (name[0] && strlen(name) <= NAME_MAX && !strchr(name, '/')))
		return 0;
	return error_set(error, EINVAL,
			 "\"%.60s\" is no name; mediavmctl vault list and "
			 "session list show those that are",
			 name);
}

static int run(int count, char **words, struct error *error)
{
	const char *from_environment = getenv("MEDIAVM_SOCKET");
	struct ctl ctl = {.socket = DEFAULT_SOCKET};
	const char *about[2];
	int result;

	if (from_environment && *from_environment)
		ctl.socket = from_environment;
	if (asks_help(count, words, about))
		return ctl_help(about[0], about[1], error);
	result = ctl_parse(&ctl, count, words, error);
	if (!result)
		result = check_name(&ctl, error);
	return result ? result : ctl.command->run(&ctl, error);
}

int main(int argc, char **argv)
{
	struct error error = {0};
	int result;

	if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
		setlocale(LC_CTYPE, "C.UTF-8");
	signal(SIGPIPE, SIG_IGN);
	result = run(argc - 1, argv + 1, &error);
	if (result && wants_json(argc - 1, argv + 1))
		ctl_print_failure(error.text);
	if (fflush(stdout) != 0 && result == 0)
		result = error_errno(&error, errno, "cannot write the output");
	if (result == 0)
		return 0;
	fprintf(stderr, "mediavmctl: %s\n", error.text);
	return result == CTL_USAGE ? 2 : 1;
}
