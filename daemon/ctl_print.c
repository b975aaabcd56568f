/* mediavmctl: what people read: tables, figures, a progress bar. */
#include "daemon/ctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#define MAX_COLUMNS 12
#define GAP 2         /* between columns */
#define LEAST_WIDTH 8 /* of a column that is cut */

static bool has_value;

void ctl_print_failure(const char *text)
{
	size_t size = strlen(text);
	json_t *json = NULL;

	/* A line that was too long may end within a character. */
	while (!has_value && !json && size > 0)
		json = json_pack("{s:s%}", "error", text, size--);
	if (json)
		ctl_print_json(json);
	json_decref(json);
}

void ctl_print_begun(void)
{
	has_value = true;
}

void ctl_print_json(const json_t *json)
{
	has_value = true;
	json_dumpf(json, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
	putchar('\n');
}

/* Wide characters of a text; what is not printable becomes '?'. */
static wchar_t *widen(const char *text)
{
	size_t size = strlen(text) + 1;
	wchar_t *wide = calloc(size, sizeof(*wide));
	mbstate_t state = {0};
	size_t n, used;

	if (!wide)
		return NULL;
	for (n = 0; *text; n++) {
		used = mbrtowc(&wide[n], text, strlen(text), &state);
		if (used == (size_t)-1 || used == (size_t)-2) {
			state = (mbstate_t){0};
			wide[n] = L'?';
			used = 1;
		}
		if (!iswprint((wint_t)wide[n]))
			wide[n] = L'?';
		text += used;
	}
	return wide;
}

void ctl_print(const char *format, ...)
{
	wchar_t *wide;
	va_list args;
	char *text;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0)
		return;
	wide = widen(text);
	printf("%ls\n", wide ? wide : L"");
	free(wide);
	free(text);
}

/* --- tables ----------------------------------------------------------- */

struct ctl_table {
	const struct ctl_column *columns;
	unsigned count;
	wchar_t **cells;
	size_t used, room;
};

struct ctl_table *ctl_table_new(const struct ctl_column *columns,
				unsigned count)
{
	struct ctl_table *t = calloc(1, sizeof(*t));
	unsigned i;

	if (!t)
		return NULL;
	t->columns = columns;
	t->count = count < MAX_COLUMNS ? count : MAX_COLUMNS;
	for (i = 0; i < t->count; i++)
		ctl_table_add(t, columns[i].title);
	return t;
}

void ctl_table_add(struct ctl_table *t, const char *text)
{
	wchar_t **cells;

	if (!t)
		return;
	if (t->used == t->room) {
		t->room = t->room ? t->room * 2 : 64;
		cells = reallocarray(t->cells, t->room, sizeof(*cells));
		if (!cells) {
			fputs("mediavmctl: no memory\n", stderr);
			exit(1);
		}
		t->cells = cells;
	}
	t->cells[t->used++] = widen(text);
}

static int width_of(const wchar_t *text)
{
	int n = text ? wcswidth(text, wcslen(text)) : 0;

	return n < 0 ? 0 : n;
}

/* Columns of the terminal on stdout, 0 when it is none. */
static int terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO) ||
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

static void measure(const struct ctl_table *t, int widths[MAX_COLUMNS])
{
	int room = terminal_width(), total = -GAP, n;
	unsigned i;
	size_t k;

	memset(widths, 0, MAX_COLUMNS * sizeof(*widths));
	for (k = 0; k < t->used; k++) {
		n = width_of(t->cells[k]);
		if (n > widths[k % t->count])
			widths[k % t->count] = n;
	}
	for (i = 0; i < t->count; i++)
		total += widths[i] + GAP;
	for (i = 0; room && total > room && i < t->count; i++) {
		if (!t->columns[i].may_shrink || widths[i] <= LEAST_WIDTH)
			continue;
		n = widths[i] - LEAST_WIDTH < total - room
			    ? widths[i] - LEAST_WIDTH
			    : total - room;
		widths[i] -= n;
		total -= n;
	}
}

/* Cuts a text that is too wide; an ellipsis says so. */
static void cut(wchar_t *text, int width)
{
	size_t n = wcslen(text);

	if (width_of(text) <= width || width < 1)
		return;
	while (n && width_of(text) > width - 1)
		text[--n] = 0;
	text[n] = L'…';
	text[n + 1] = 0;
}

static void print_cell(const struct ctl_table *t, size_t k, const int *widths)
{
	unsigned column = (unsigned)(k % t->count);
	bool is_last = column + 1 == t->count;
	wchar_t *text = t->cells[k];
	int pad;

	if (!text)
		text = L"";
	else
		cut(text, widths[column]);
	pad = widths[column] - width_of(text);
	if (t->columns[column].is_right)
		printf("%*s%ls", pad, "", text);
	else
		printf("%ls%*s", text, is_last ? 0 : pad, "");
	printf("%*s", is_last ? 0 : GAP, "");
	if (is_last)
		putchar('\n');
}

void ctl_table_print(struct ctl_table *t)
{
	int widths[MAX_COLUMNS];
	size_t k;

	if (!t)
		return;
	measure(t, widths);
	for (k = 0; k < t->used; k++)
		print_cell(t, k, widths);
	for (k = 0; k < t->used; k++)
		free(t->cells[k]);
	free(t->cells);
	free(t);
}

/* --- figures ---------------------------------------------------------- */

char *ctl_size(int64_t bytes, char text[CTL_TEXT_SIZE])
{
	static const char *const units[] = {"B",   "KiB", "MiB",
					    "GiB", "TiB", "PiB"};
	double value = (double)bytes;
	unsigned i = 0;

	while (value >= 1023.95 && i < 5) {
		value /= 1024;
		i++;
	}
	snprintf(text, CTL_TEXT_SIZE, i ? "%.1f %s" : "%.0f %s", value,
		 units[i]);
	return text;
}

char *ctl_duration(int64_t ms, char text[CTL_TEXT_SIZE])
{
	long long s = ms / 1000;

	if (s < 60)
		snprintf(text, CTL_TEXT_SIZE, "%lld.%lld s", s,
			 (long long)ms % 1000 / 100);
	else if (s < 3600)
		snprintf(text, CTL_TEXT_SIZE, "%lld min %02lld s", s / 60,
			 s % 60);
	else
		snprintf(text, CTL_TEXT_SIZE, "%lld h %02lld min", s / 3600,
			 s / 60 % 60);
	return text;
}

char *ctl_time(const char *rfc3339, char text[CTL_TEXT_SIZE])
{
	struct tm tm = {0};
	time_t seconds;

	if (!strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &tm)) {
		snprintf(text, CTL_TEXT_SIZE, "%s", rfc3339[0] ? rfc3339 : "-");
		return text;
	}
	seconds = timegm(&tm);
	strftime(text, CTL_TEXT_SIZE, "%Y-%m-%d %H:%M:%S",
		 localtime_r(&seconds, &tm));
	return text;
}

const char *ctl_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

int64_t ctl_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_real(value) ? (int64_t)json_real_value(value)
				   : (int64_t)json_integer_value(value);
}

bool ctl_confirm(const struct ctl *ctl, const char *question)
{
	char answer[16];

	if (ctl_option(ctl, "yes") || !isatty(STDIN_FILENO) ||
	    !isatty(STDERR_FILENO))
		return true;
	fprintf(stderr, "%s [y/N] ", question);
	return fgets(answer, sizeof(answer), stdin) &&
	       (answer[0] == 'y' || answer[0] == 'Y');
}

/* --- progress --------------------------------------------------------- */

static bool has_bar;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void ctl_progress(const char *title, double done, const char *more)
{
	static int64_t last;
	int filled = (int)(done * 30), i;

	if (!isatty(STDERR_FILENO) || (has_bar && now_ms() - last < 100))
		return;
	last = now_ms();
	has_bar = true;
	fprintf(stderr, "\r\033[K%s ", title);
	if (done >= 0) {
		for (i = 0; i < 30; i++)
			fputs(i < filled ? "█" : "░", stderr);
		fprintf(stderr, " %3.0f %%", done * 100);
	}
	if (more[0])
		fprintf(stderr, " %s", more);
	fflush(stderr);
}

void ctl_progress_end(void)
{
	if (has_bar)
		fputs("\r\033[K", stderr);
	has_bar = false;
}
