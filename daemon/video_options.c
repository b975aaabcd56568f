/* JSON to what the renderer understands. */
#include "daemon/video_options.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/operations_query.h"

/* A name to one of an enum's values; NULL leaves it. */
static int choose(const char *what, const char *name,
		  int (*by_name)(const char *name), const char *names,
		  int *value, struct error *error)
{
	if (!name)
		return 0;
	*value = by_name(name);
	if (*value >= 0)
		return 0;
	return error_set(error, -EINVAL, "%s is \"%.40s\"; it may be %s", what,
			 name, names);
}

static int check_separate(const struct video_options *o, struct error *error)
{
	const struct render_options *r = &o->render;

	if (o->separate || (r->format == ENCODER_MP4 && !r->lossless &&
			    r->video <= ENCODER_H264))
		return 0;
	return error_set(error, -EINVAL,
			 "the session's own video is MP4 with H.264, which "
			 "every browser plays; make another one as a file of "
			 "its own (-o FILE)");
}

int video_options_read(struct video_options *options, const json_t *json,
		       struct error *error)
{
	const char *format = NULL, *video = NULL, *sound = NULL;
	struct render_options *r = &options->render;
	const struct body_member members[] = {
		{"again", BODY_BOOL, &options->again},
		{"separate", BODY_BOOL, &options->separate},
		{"format", BODY_TEXT, &format},
		{"video", BODY_TEXT, &video},
		{"sound", BODY_TEXT, &sound},
		{"lossless", BODY_BOOL, &r->lossless},
		{"no_cursor", BODY_BOOL, &r->no_cursor},
		{"as_heard", BODY_BOOL, &r->as_heard},
		{"preset", BODY_TEXT, &r->preset},
		{"crf", BODY_COUNT, &r->crf},
		{"fps", BODY_COUNT, &r->fps},
		{"key_seconds", BODY_COUNT, &r->key_seconds},
		{"monitor", BODY_COUNT, &r->monitor},
		{"threads", BODY_COUNT, &r->threads},
	};
	const struct operation_call call = {.body = json};
	int values[3] = {0};
	int bad;

	*options = (struct video_options){0};
	bad = BODY_READ(&call, members, error);
	r->no_sound = sound && !strcmp(sound, "none");
	if (!bad)
		bad = choose("format", format, encoder_format_by_name,
			     "mp4 or webm", &values[0], error);
	if (!bad)
		bad = choose("video", video, encoder_video_by_name,
			     "h264, vp9 or av1", &values[1], error);
	if (!bad && !r->no_sound)
		bad = choose("sound", sound, encoder_audio_by_name,
			     "aac, opus or none", &values[2], error);
	if (bad)
		return bad;
	r->format = (enum encoder_format)values[0];
	r->video = (enum encoder_video)values[1];
	r->audio = (enum encoder_audio)values[2];
	bad = render_check(r, error);
	return bad ? bad : check_separate(options, error);
}

int video_options_text(const json_t *json, char text[VIDEO_OPTIONS_SIZE],
		       struct error *error)
{
	json_t *copy = json_copy((json_t *)json);
	char *all;
	int r = 0;

	json_object_del(copy, "again");
	all = json_dumps(copy, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(copy);
	if (!all)
		return error_set(error, -ENOMEM, "no memory");
	if (strlen(all) >= VIDEO_OPTIONS_SIZE)
		r = error_set(error, -EINVAL, "these are too many options");
	else
		strcpy(text, all);
	free(all);
	return r;
}

const char *video_options_format(const struct video_options *options)
{
	return options->render.format == ENCODER_WEBM ? "webm" : "mp4";
}
