/* Digests of small files; see digest_files.h. */
#include "daemon/digest_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "daemon/folder.h"
#include "recorder/bytes.h"

#define LIST_MAX (1 << 20)
#define HEX 64
#define DEPTH_MAX 8

static int hash_file(const char *path, char hex[HEX + 1], struct error *error)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	uint8_t digest[HEX / 2], part[65536];
	ssize_t n = fd < 0 || !context ? -1 : 1;
	int r = 0;

	if (n > 0)
		EVP_DigestInit_ex(context, EVP_sha256(), NULL);
	while (n > 0) {
		n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			EVP_DigestUpdate(context, part, (size_t)n);
	}
	if (n < 0 || !EVP_DigestFinal_ex(context, digest, NULL))
		r = error_errno(error, errno, "can't read %s", path);
	for (unsigned i = 0; !r && i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	EVP_MD_CTX_free(context);
	if (fd >= 0)
		close(fd);
	return r;
}

/* --- what there is ----------------------------------------------------- */

struct walk {
	const char *folder;
	int (*file)(void *data, const char *path, const char *name,
		    struct error *error);
	void *data;
};

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* What was there when the list was written and what comes and goes, too. */
static int is_ours(const struct dirent *entry)
{
	return entry->d_name[0] != '.' &&
	       strcmp(entry->d_name, DIGEST_FILES) != 0;
}

/* below: "" or a folder with its slash. */
static int walk(const struct walk *w, const char *below, unsigned depth,
		struct error *error)
{
	struct dirent **list = NULL;
	char path[PATH_MAX], name[PATH_MAX];
	struct stat st;
	int count, r = 0;

	if (snprintf(path, sizeof(path), "%s/%s", w->folder, below) >= PATH_MAX)
		return error_set(error, -ENAMETOOLONG, "%s", w->folder);
	count = scandir(path, &list, is_ours, by_name);
	if (count < 0)
		return error_errno(error, errno, "can't read %s", path);
	for (int i = 0; i < count; i++) {
		const char *entry = list[i]->d_name;

		if (!r && (snprintf(name, sizeof(name), "%s%s", below, entry) >=
				   PATH_MAX ||
			   snprintf(path, sizeof(path), "%s/%s", w->folder,
				    name) >= PATH_MAX ||
			   lstat(path, &st)))
			r = error_errno(error, errno, "can't read %s", path);
		else if (!r && S_ISREG(st.st_mode))
			r = w->file(w->data, path, name, error);
		else if (!r && S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			strncat(name, "/", sizeof(name) - strlen(name) - 1);
			r = walk(w, name, depth + 1, error);
		}
		free(list[i]);
	}
	free(list);
	return r;
}

/* --- the list ---------------------------------------------------------- */

static int add_line(void *data, const char *path, const char *name,
		    struct error *error)
{
	struct buffer *text = data;
	char hex[HEX + 1];
	int r;

	if (strchr(name, '\n') || strchr(name, '\\'))
		return error_set(error, -EINVAL, "%s has a strange name", path);
	r = hash_file(path, hex, error);
	if (r)
		return r;
	buffer_put(text, hex, HEX);
	buffer_put(text, "  ", 2);
	buffer_put(text, name, strlen(name));
	buffer_put_u8(text, '\n');
	return text->failed ? error_set(error, -ENOMEM, "no memory") : 0;
}

int digest_files_write(const char *folder, struct error *error)
{
	struct buffer text = {.limit = LIST_MAX};
	const struct walk w = {folder, add_line, &text};
	char path[PATH_MAX];
	int r = walk(&w, "", 0, error);

	if (snprintf(path, sizeof(path), "%s/" DIGEST_FILES, folder) >=
	    PATH_MAX)
		r = error_set(error, -ENAMETOOLONG, "%s", folder);
	if (!r)
		r = folder_write(path, text.data ? text.data : (uint8_t *)"",
				 text.size, 0600, error);
	buffer_free(&text);
	return r;
}

/* --- comparing --------------------------------------------------------- */

struct check {
	char *list; /* lines that were not met yet begin with a digit */
	void (*found)(void *data, const char *name, const char *what);
	void *data;
};

static bool is_line(const char *line)
{
	size_t n = strspn(line, "0123456789abcdef");

	return n == HEX && line[HEX] == ' ' && line[HEX + 1] == ' ' &&
	       line[HEX + 2] && line[HEX + 2] != '\n';
}

/* The line of a name, or NULL. */
static char *find_line(struct check *c, const char *name)
{
	size_t n = strlen(name);

	for (char *line = c->list; *line;) {
		char *end = strchr(line, '\n');

		if (line[0] != '!' && end - line == (ptrdiff_t)(n + HEX + 2) &&
		    !memcmp(line + HEX + 2, name, n))
			return line;
		line = end + 1;
	}
	return NULL;
}

static int check_file(void *data, const char *path, const char *name,
		      struct error *error)
{
	struct check *c = data;
	char *line = find_line(c, name), hex[HEX + 1];
	int r = hash_file(path, hex, error);

	if (r)
		return r;
	if (!line)
		c->found(c->data, name, "was not there before");
	else if (memcmp(line, hex, HEX) != 0)
		c->found(c->data, name, "has changed");
	if (line)
		line[0] = '!';
	return 0;
}

static void tell_missing(struct check *c)
{
	for (char *line = c->list; *line;) {
		char *end = strchr(line, '\n');

		*end = '\0';
		if (line[0] != '!')
			c->found(c->data, line + HEX + 2, "is missing");
		line = end + 1;
	}
}

static bool is_sound(const char *list)
{
	while (*list) {
		const char *end = strchr(list, '\n');

		if (!end || !is_line(list))
			return false;
		list = end + 1;
	}
	return true;
}

int digest_files_check(const char *folder,
		       void (*found)(void *data, const char *name,
				     const char *what),
		       void *data, struct error *error)
{
	struct check c = {.found = found, .data = data};
	const struct walk w = {folder, check_file, &c};
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s/" DIGEST_FILES, folder) >=
	    PATH_MAX)
		return error_set(error, -ENAMETOOLONG, "%s", folder);
	if (access(path, F_OK) && errno == ENOENT)
		return error_set(error, -ENOENT, "%s is not there", path);
	r = folder_read(path, LIST_MAX, &c.list, error);
	if (!r && !is_sound(c.list))
		r = error_set(error, -EBADMSG, "%s is damaged", path);
	if (!r)
		r = walk(&w, "", 0, error);
	if (!r)
		tell_missing(&c);
	free(c.list);
	return r;
}
