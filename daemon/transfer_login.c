/*
 * Who to be at a host: from a file like ~/.netrc, lines of
 *
 *   machine HOST login USER password SECRET
 *   default login USER password SECRET
 *
 * in which # begins a comment and a word may stand in double quotes. For S3
 * the machine is the endpoint's host, login and password are access key and
 * secret key.
 */
#include "daemon/transfer_far.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define WORD 256

/* The next word; false at the end. One that is too long is cut. */
static bool next_word(FILE *file, char word[WORD])
{
	size_t n = 0;
	bool quoted;
	int c;

	while ((c = getc(file)) != EOF && (c <= ' ' || c == '#'))
		if (c == '#')
			while ((c = getc(file)) != EOF && c != '\n')
				;
	if (c == EOF)
		return false;
	quoted = c == '"';
	if (quoted)
		c = getc(file);
	for (; c != EOF && (quoted ? c != '"' : c > ' '); c = getc(file)) {
		if (quoted && c == '\\')
			c = getc(file);
		if (n + 1 < WORD && c != EOF)
			word[n++] = (char)c;
	}
	word[n] = '\0';
	return true;
}

static void search(struct far *far, FILE *file)
{
	char word[WORD], value[WORD];
	bool ours = false, right_user = true;

	while (next_word(file, word)) {
		if (!strcmp(word, "default")) {
			if (far->password[0])
				return;
			ours = right_user = true;
		} else if (!next_word(file, value)) {
			return;
		} else if (!strcmp(word, "machine")) {
			if (far->password[0])
				return;
			ours = !strcasecmp(value, far->host);
			right_user = true;
		} else if (ours && !strcmp(word, "login")) {
			right_user = !far->user[0] || !strcmp(far->user, value);
			if (right_user)
				strcpy(far->user, value);
		} else if (ours && right_user && !strcmp(word, "password")) {
			strcpy(far->password, value);
		}
		explicit_bzero(value, sizeof(value));
	}
}

int far_login(struct far *far, struct error *error)
{
	const char *path = far_text(far, "netrc");
	struct stat st;
	FILE *file;

	if (!path)
		return 0;
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? 0
				       : error_errno(error, errno,
						     "can't read %s", path);
	if (fstat(fileno(file), &st) || st.st_mode & 07) {
		fclose(file);
		return error_set(error, -EACCES,
				 "%s holds passwords and everybody can read "
				 "it: chmod 600 %s",
				 path, path);
	}
	search(far, file);
	fclose(file);
	return 0;
}
