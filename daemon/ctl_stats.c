/* mediavmctl session export --stats: the figures as tables. */
#include "daemon/ctl.h"

#include <stdlib.h>
#include <string.h>

enum form { TEXT, COUNT, SIZE, MS, REAL };

/* A column of a table, and the member that it shows. */
struct figure {
	const char *title, *member;
	enum form form;
};

#define COLUMNS_MAX 12u

static void put_cell(struct ctl_table *table, const json_t *value,
		     enum form form)
{
	char text[CTL_TEXT_SIZE] = "-";

	if (form == TEXT && json_is_string(value)) {
		ctl_table_add(table, json_string_value(value));
		return;
	}
	if (!json_is_number(value))
		;
	else if (form == SIZE)
		ctl_size(json_integer_value(value), text);
	else if (form == MS)
		ctl_duration(json_integer_value(value), text);
	else if (form == REAL)
		snprintf(text, sizeof(text), "%.2f", json_number_value(value));
	else
		snprintf(text, sizeof(text), "%lld",
			 (long long)json_integer_value(value));
	ctl_table_add(table, text);
}

static void print_rows(const json_t *rows, const struct figure *figures,
		       unsigned count)
{
	struct ctl_column columns[COLUMNS_MAX] = {0};
	struct ctl_table *table;
	const json_t *row;
	size_t i;

	for (unsigned k = 0; k < count; k++)
		columns[k] = (struct ctl_column){
			figures[k].title, figures[k].form != TEXT, false};
	table = ctl_table_new(columns, count);
	json_array_foreach(rows, i, row)
	{
		for (unsigned k = 0; k < count; k++)
			put_cell(table, json_object_get(row, figures[k].member),
				 figures[k].form);
	}
	ctl_table_print(table);
}

/* A table with a blank line before it; nothing when it would be empty. */
static void print_part(const json_t *stats, const char *member,
		       const struct figure *figures, unsigned count)
{
	const json_t *rows = json_object_get(stats, member);

	if (!json_array_size(rows))
		return;
	ctl_print("%s", "");
	print_rows(rows, figures, count);
}

/* One row for each type of message. */
static json_t *message_rows(const json_t *stats)
{
	static const char *const ways[] = {"to_client", "to_guest"};
	json_t *rows = json_array(), *channel, *count, *row;
	char label[CTL_TEXT_SIZE];
	const char *name;
	size_t i;

	json_array_foreach(json_object_get(stats, "channels"), i, channel)
	{
		for (unsigned way = 0; way < 2; way++) {
			json_object_foreach(json_object_get(channel, ways[way]),
					    name, count)
			{
				snprintf(label, sizeof(label), "%.40s:%lld",
					 ctl_text(channel, "type"),
					 (long long)ctl_number(channel, "id"));
				row = json_pack("{s:s, s:s, s:s}", "channel",
						label, "way",
						way ? "to guest" : "to client",
						"name", name);
				json_object_update_missing(row, count);
				json_array_append_new(rows, row);
			}
		}
	}
	return rows;
}

static void print_messages(const json_t *stats)
{
	static const struct figure figures[] = {
		{"CHANNEL", "channel", TEXT}, {"", "way", TEXT},
		{"MESSAGE", "name", TEXT},    {"COUNT", "messages", COUNT},
		{"BYTES", "bytes", SIZE},     {"LARGEST", "largest", SIZE},
	};
	json_t *rows = message_rows(stats);

	if (json_array_size(rows)) {
		ctl_print("%s", "");
		print_rows(rows, figures, 6);
	}
	json_decref(rows);
}

static void print_channels(const json_t *stats)
{
	static const struct figure figures[] = {
		{"CHANNEL", "type", TEXT},
		{"ID", "id", COUNT},
		{"OPENED", "opened_ms", MS},
		{"CLOSED", "closed_ms", MS},
		{"MESSAGES TO CLIENT", "messages_to_client", COUNT},
		{"BYTES", "bytes_to_client", SIZE},
		{"MESSAGES TO GUEST", "messages_to_guest", COUNT},
		{"BYTES", "bytes_to_guest", SIZE},
	};

	print_rows(json_object_get(stats, "channels"), figures, 8);
}

static void print_media(const json_t *stats)
{
	static const struct figure images[] = {
		{"IMAGES", "type", TEXT},      {"COUNT", "count", COUNT},
		{"BYTES", "bytes", SIZE},      {"PIXELS", "pixels", COUNT},
		{"SMALLER BY", "ratio", REAL},
	};
	static const struct figure streams[] = {
		{"STREAM", "codec", TEXT},
		{"WIDTH", "width", COUNT},
		{"HEIGHT", "height", COUNT},
		{"BEGIN", "begin_ms", MS},
		{"END", "end_ms", MS},
		{"FRAMES", "frames", COUNT},
		{"BYTES", "bytes", SIZE},
		{"FPS", "fps", REAL},
		{"LEAST", "fps_min", COUNT},
		{"GAPS", "gaps", COUNT},
		{"LONGEST ms", "longest_gap_ms", COUNT},
		{"LATE", "late", COUNT},
	};
	static const struct figure sounds[] = {
		{"SOUND", "channel", TEXT},
		{"MODE", "mode", TEXT},
		{"Hz", "frequency", COUNT},
		{"CHANNELS", "channels", COUNT},
		{"RUNS", "runs", COUNT},
		{"PACKETS", "packets", COUNT},
		{"BYTES", "bytes", SIZE},
		{"GAPS", "gaps", COUNT},
		{"LONGEST ms", "longest_gap_ms", COUNT},
	};

	print_part(stats, "images", images, 5);
	print_part(stats, "streams", streams, 12);
	if (ctl_number(stats, "streams_left_out"))
		ctl_print("and %lld more streams",
			  (long long)ctl_number(stats, "streams_left_out"));
	print_part(stats, "sound", sounds, 9);
}

static void print_caches(const json_t *stats)
{
	const json_t *cache = json_object_get(stats, "cache");
	const json_t *glz = json_object_get(stats, "glz");

	ctl_print("%s", "");
	ctl_print("image cache: %lld put in, %lld replaced, %lld taken out, "
		  "%lld of them lossless",
		  (long long)ctl_number(cache, "images_added"),
		  (long long)ctl_number(cache, "images_replaced"),
		  (long long)(ctl_number(cache, "image_hits") +
			      ctl_number(cache, "image_lossless_hits")),
		  (long long)ctl_number(cache, "image_lossless_hits"));
	ctl_print("palettes from the cache: %lld; pointers: %lld put in, "
		  "%lld taken out",
		  (long long)ctl_number(cache, "palette_hits"),
		  (long long)ctl_number(cache, "cursors_added"),
		  (long long)ctl_number(cache, "cursor_hits"));
	ctl_print("GLZ: %lld images, which look back over %lld at most",
		  (long long)ctl_number(glz, "images"),
		  (long long)ctl_number(glz, "longest_window"));
}

static void print_all(const json_t *stats)
{
	char text[CTL_TEXT_SIZE];

	print_channels(stats);
	print_messages(stats);
	print_media(stats);
	print_caches(stats);
	ctl_print("%s; %s%s",
		  ctl_duration(ctl_number(stats, "duration_ms"), text),
		  json_is_true(json_object_get(stats, "complete"))
			  ? "complete"
			  : "not complete",
		  json_is_true(json_object_get(stats, "signed")) ? ", signed"
								 : "");
	if (ctl_text(stats, "damage")[0])
		ctl_print("damaged: %s", ctl_text(stats, "damage"));
}

int ctl_print_stats(struct ctl *ctl, struct error *error)
{
	json_t *stats;
	int result = ctl_look_stats(ctl, &stats, error);

	if (result)
		return result;
	if (ctl->json)
		ctl_print_json(stats);
	else
		print_all(stats);
	json_decref(stats);
	return 0;
}
