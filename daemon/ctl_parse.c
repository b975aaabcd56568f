/* mediavmctl: from words to a command, and help, both by the table. */
#include "daemon/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int ctl_usage(struct error *error, const char *format, ...)
{
	char text[sizeof(error->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(error, EINVAL, "%s", text);
	return CTL_USAGE;
}

static int option_index(const struct ctl_command *command, const char *name,
			size_t size)
{
	int i;

	for (i = 0; command->options[i].name; i++)
		if (strlen(command->options[i].name) == size &&
		    memcmp(command->options[i].name, name, size) == 0)
			return i;
	return -1;
}

const char *ctl_option(const struct ctl *ctl, const char *name)
{
	int i = option_index(ctl->command, name, strlen(name));

	return i < 0 ? NULL : ctl->values[i];
}

/* "vault start" for messages. */
static const char *title(const struct ctl_command *command)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s%s%s", command->noun,
		 command->verb ? " " : "", command->verb ? command->verb : "");
	return text;
}

static bool is_noun(const char *word)
{
	const struct ctl_command *c;

	for (c = ctl_commands; c->noun; c++)
		if (strcmp(c->noun, word) == 0)
			return true;
	return false;
}

/* What `words` begin with; *used: how many of them name it. */
static const struct ctl_command *find(const char *const *words, unsigned count,
				      unsigned *used)
{
	const struct ctl_command *c;

	for (c = ctl_commands; c->noun; c++) {
		if (count < 1 || strcmp(c->noun, words[0]) != 0)
			continue;
		*used = c->verb ? 2 : 1;
		if (!c->verb || (count > 1 && strcmp(c->verb, words[1]) == 0))
			return c;
	}
	return NULL;
}

/*
 * One word that begins with a dash. *i is moved past its value. Options may
 * come before the command is known only when they are global.
 */
static int parse_option(struct ctl *ctl, int count, char **words, int *i,
			struct error *error)
{
	const char *name = words[*i] + (words[*i][1] == '-' ? 2 : 1);
	const char *value = strchr(name, '=');
	size_t size = value ? (size_t)(value - name) : strlen(name);
	bool is_socket = size == 6 && memcmp(name, "socket", 6) == 0;
	bool takes_value;
	int n;

	if (size == 4 && memcmp(name, "json", 4) == 0 && !value) {
		ctl->json = true;
		return 0;
	}
	n = ctl->command ? option_index(ctl->command, name, size) : -1;
	if (n < 0 && !is_socket)
		return ctl_usage(error,
				 "unknown option %s%s%s; see mediavmctl "
				 "help",
				 words[*i], ctl->command ? " of " : "",
				 ctl->command ? title(ctl->command) : "");
	takes_value = is_socket || ctl->command->options[n].value;
	if (value && !takes_value)
		return ctl_usage(error, "--%.*s takes no value", (int)size,
				 name);
	if (takes_value && !value && *i + 1 == count)
		return ctl_usage(error, "%s wants a value", words[*i]);
	if (takes_value)
		value = value ? value + 1 : words[++*i];
	if (is_socket)
		ctl->socket = value;
	else
		ctl->values[n] = takes_value ? value : "";
	return 0;
}

static int check_count(const struct ctl *ctl, struct error *error)
{
	const struct ctl_command *c = ctl->command;

	if (ctl->count >= c->least && ctl->count <= c->most)
		return 0;
	return ctl_usage(error, "usage: mediavmctl %s%s%s%s", title(c),
			 c->arguments[0] ? " " : "", c->arguments,
			 c->options[0].name ? " [OPTION...]" : "");
}

static int choose(struct ctl *ctl, struct error *error)
{
	unsigned used;

	if (ctl->command || !ctl->count)
		return 0;
	ctl->command = find(ctl->arguments, ctl->count, &used);
	if (ctl->command) {
		ctl->count = 0;
		return 0;
	}
	if (ctl->count == 1 && is_noun(ctl->arguments[0]))
		return 0; /* the verb follows */
	if (is_noun(ctl->arguments[0]))
		return ctl_usage(error,
				 "%s has no \"%s\"; see mediavmctl help "
				 "%s",
				 ctl->arguments[0], ctl->arguments[1],
				 ctl->arguments[0]);
	return ctl_usage(error, "unknown command \"%s\"; see mediavmctl help",
			 ctl->arguments[0]);
}

/* What is no UTF-8 could not be told to the daemon, and would be left out. */
static int check_text(int count, char **words, struct error *error)
{
	json_t *text;

	for (int i = 0; i < count; i++) {
		text = json_string(words[i]);
		if (!text)
			return ctl_usage(error,
					 "argument %d is not UTF-8; give a "
					 "file of such a name another one",
					 i + 1);
		json_decref(text);
	}
	return 0;
}

int ctl_parse(struct ctl *ctl, int count, char **words, struct error *error)
{
	bool only_arguments = false;
	int i, result = check_text(count, words, error);

	if (result)
		return result;

	for (i = 0; i < count; i++) {
		if (!only_arguments && strcmp(words[i], "--") == 0) {
			only_arguments = true;
			continue;
		}
		if (!only_arguments && words[i][0] == '-' && words[i][1]) {
			result = parse_option(ctl, count, words, &i, error);
			if (result)
				return result;
			continue;
		}
		if (ctl->count == CTL_MAX_ARGUMENTS)
			return ctl_usage(error, "too many arguments");
		ctl->arguments[ctl->count++] = words[i];
		result = choose(ctl, error);
		if (result)
			return result;
	}
	if (!ctl->count && !ctl->command)
		return ctl_usage(error, "nothing to do; see mediavmctl help");
	if (!ctl->command)
		return ctl_usage(error,
				 "%s wants a verb; see mediavmctl help "
				 "%s",
				 ctl->arguments[0], ctl->arguments[0]);
	return check_count(ctl, error);
}

/* --- help ------------------------------------------------------------- */

static void print_row(const char *left, const char *right)
{
	if (strlen(left) > 22)
		printf("  %s\n  %-22s  %s\n", left, "", right);
	else
		printf("  %-22s  %s\n", left, right);
}

static void help_command(const struct ctl_command *c)
{
	const struct ctl_option *o;
	char left[64];

	printf("usage: mediavmctl %s%s%s%s\n\n%s\n", title(c),
	       c->arguments[0] ? " " : "", c->arguments,
	       c->options[0].name ? " [OPTION...]" : "", c->help);
	if (c->options[0].name)
		putchar('\n');
	for (o = c->options; o->name; o++) {
		snprintf(left, sizeof(left), "%s%s%s%s",
			 o->name[1] ? "--" : "-", o->name, o->value ? " " : "",
			 o->value ? o->value : "");
		print_row(left, o->help);
	}
}

static void help_list(const char *noun)
{
	const struct ctl_command *c;
	char left[96];

	printf("usage: mediavmctl [--json] [--socket PATH] %s\n\n",
	       noun ? noun : "COMMAND");
	for (c = ctl_commands; c->noun; c++) {
		if (noun && strcmp(noun, c->noun) != 0)
			continue;
		snprintf(left, sizeof(left), "%s%s%s", title(c),
			 c->arguments[0] ? " " : "", c->arguments);
		print_row(left, c->help);
	}
	if (noun)
		return;
	print_row("help [COMMAND]", "this text, or all options of a command");
	printf("\nExit status: 0 done, 1 refused or failed, 2 wrong usage.\n"
	       "mediavmctl(1) says more.\n");
}

int ctl_help(const char *noun, const char *verb, struct error *error)
{
	const char *const words[] = {noun, verb};
	const struct ctl_command *c = NULL;
	unsigned used;

	if (noun)
		c = find(words, verb ? 2 : 1, &used);
	if (c)
		help_command(c);
	else if (!noun || is_noun(noun))
		help_list(noun);
	else
		return ctl_usage(error,
				 "unknown command \"%s\"; see "
				 "mediavmctl help",
				 noun);
	return 0;
}
