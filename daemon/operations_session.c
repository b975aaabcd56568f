/* Operations on sessions. */
#include "daemon/operations.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/supervisor.h"
#include "daemon/job.h"
#include "daemon/operations_query.h"
#include "daemon/session.h"
#include "daemon/video_options.h"
#include "recorder/capture_index.h"

int operation_session_list(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	struct session_filter filter = {
		.vault = call->query(call, "vault"),
		.state = call->query(call, "state"),
		.text = call->query(call, "text"),
		.before = call->query(call, "before"),
	};
	int r = query_limit(call, &filter.limit, error);

	if (!r)
		r = query_time(call, "since", &filter.since, error);
	if (!r && filter.state && strcmp(filter.state, "live") &&
	    strcmp(filter.state, "ended") && strcmp(filter.state, "recovered"))
		r = error_set(error, -EINVAL,
			      "state is \"%s\"; it may be live, ended or "
			      "recovered",
			      filter.state);
	return r ? r : session_list(control, &filter, &answer->json, error);
}

static int show(struct control *control, const char *id,
		struct operation_answer *answer, struct error *error)
{
	struct session session;
	int r = session_find(control, id, &session, error);

	if (!r)
		answer->json = session_json(control, &session);
	return r;
}

int operation_session_show(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	return show(control, call->path[0], answer, error);
}

int operation_session_delete(struct control *control,
			     const struct operation_call *call,
			     struct operation_answer *answer,
			     struct error *error)
{
	answer->json = json_object();
	return session_delete(control, call->path[0], error);
}

int operation_session_kill(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	const char *reason = NULL;
	const struct body_member members[] = {{"reason", BODY_TEXT, &reason}};
	struct session session;
	int r = BODY_READ(call, members, error);

	if (!r)
		r = session_find(control, call->path[0], &session, error);
	if (!r && strcmp(session.state, "live"))
		r = error_set(error, -EBUSY, "session %s is not live",
			      session.id);
	if (!r)
		r = supervisor_kill(control->gateway, session.id,
				    reason && *reason
					    ? reason
					    : "ended by the administrator",
				    error);
	return r ? r : show(control, session.id, answer, error);
}

int operation_session_hold(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	bool hold = true;
	const struct body_member members[] = {{"hold", BODY_BOOL, &hold}};
	int r = BODY_READ(call, members, error);

	if (!r)
		r = session_hold(control, call->path[0], hold, error);
	return r ? r : show(control, call->path[0], answer, error);
}

/* What is wrong with a recording: 1 and a text, 0 nothing, or an error. */
static int examine(struct control *control, const struct session *session,
		   int fd, char *text, size_t size, struct error *error)
{
	struct capture_index *index = NULL;
	uint8_t digest[32];
	uint64_t bytes;
	int wrong = 1;
	int r = session_file_digest(fd, digest, &bytes, error);

	if (r)
		return r;
	r = capture_index_rebuild(&index, fd, error);
	if (r)
		snprintf(text, size, "%s", error->text);
	else if (session->has_digest && memcmp(digest, session->digest, 32))
		snprintf(text, size,
			 "it is not the file that was recorded: its SHA-256 "
			 "is another than the catalogue's");
	else if (!index->complete && !strcmp(session->state, "ended"))
		snprintf(text, size, "its end is missing");
	else if (session->is_signed && !index->is_signed)
		snprintf(text, size, "its signature is missing");
	else if (index->is_signed &&
		 tls_files_verify(&control->tls, index->signed_digest,
				  index->signature, NULL))
		snprintf(text, size, "its signature is not of this daemon");
	else
		wrong = 0;
	if (!wrong)
		snprintf(text, size, "%llu bytes, hash chain%s%s",
			 (unsigned long long)bytes,
			 session->has_digest ? ", digest" : "",
			 index->is_signed
				 ? " and signature are right"
				 : " right; not signed: it was recovered");
	capture_index_free(index);
	return wrong;
}

static int open_file(struct control *control, const char *id, const char *name,
		     const char *what, int *fd, struct error *error)
{
	char path[PATH_MAX];

	session_path(control, id, name, path);
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*fd >= 0)
		return 0;
	if (errno == ENOENT)
		return error_set(error, -ENOENT, "session %s has no %s", id,
				 what);
	return error_errno(error, errno, "can't read %s", path);
}

int operation_session_verify(struct control *control,
			     const struct operation_call *call,
			     struct operation_answer *answer,
			     struct error *error)
{
	struct session session;
	char text[480];
	int fd, wrong;
	int r = session_find(control, call->path[0], &session, error);

	if (!r && !strcmp(session.state, "live"))
		r = error_set(error, -EBUSY,
			      "session %s is live; verify it after its end",
			      session.id);
	if (!r)
		r = open_file(control, session.id, "wire.pcapng.zst",
			      "recording", &fd, error);
	if (r)
		return r;
	wrong = examine(control, &session, fd, text, sizeof(text), error);
	close(fd);
	if (wrong < 0)
		return wrong;
	answer->json = json_pack("{s:b, s:s}", "ok", !wrong, "text", text);
	return 0;
}

int operation_session_render(struct control *control,
			     const struct operation_call *call,
			     struct operation_answer *answer,
			     struct error *error)
{
	char options[VIDEO_OPTIONS_SIZE], id[JOB_ID_SIZE];
	struct video_options video;
	struct session session;
	int r = video_options_read(&video, call->body, error);

	if (!r)
		r = video_options_text(call->body, options, error);
	if (!r)
		r = session_find(control, call->path[0], &session, error);
	if (!r && !session.recorded)
		r = error_set(error, -ENOENT, "session %s was not recorded",
			      session.id);
	if (!r && !strcmp(session.state, "live"))
		r = error_set(error, -EBUSY,
			      "session %s is live; render it after its end",
			      session.id);
	if (r)
		return r;
	/* With options of its own it is another video than the one there. */
	if (video.again || strcmp(options, "{}") ||
	    strcmp(session.video, "ready") ||
	    !job_of_session(control->jobs, session.id, id))
		r = job_render(control->jobs, session.id, options, id, error);
	return r ? r : job_show(control->jobs, id, &answer->json, error);
}

/* A whole file, with the size that it has now. */
static int answer_file(struct control *control, const char *id,
		       const char *name, const char *what, const char *type,
		       const char *suffix, struct operation_answer *answer,
		       struct error *error)
{
	struct session session;
	struct stat st;
	int fd, r = session_find(control, id, &session, error);

	if (!r)
		r = open_file(control, id, name, what, &fd, error);
	if (r)
		return r;
	if (fstat(fd, &st)) {
		r = error_errno(error, errno, "can't read %s", name);
		close(fd);
		return r;
	}
	answer->fd = fd;
	answer->size = (uint64_t)st.st_size;
	answer->content_type = type;
	snprintf(answer->file_name, sizeof(answer->file_name), "%s-%s%s",
		 session.vault_name, id, suffix);
	return 0;
}

int operation_session_video(struct control *control,
			    const struct operation_call *call,
			    struct operation_answer *answer,
			    struct error *error)
{
	return answer_file(control, call->path[0], "video.mp4",
			   "video yet; render it first", "video/mp4", ".mp4",
			   answer, error);
}

int operation_session_thumbs(struct control *control,
			     const struct operation_call *call,
			     struct operation_answer *answer,
			     struct error *error)
{
	return answer_file(control, call->path[0], "thumbs.jpg",
			   "thumbnails; render it first", "image/jpeg", ".jpg",
			   answer, error);
}

int operation_session_thumbs_times(struct control *control,
				   const struct operation_call *call,
				   struct operation_answer *answer,
				   struct error *error)
{
	return answer_file(control, call->path[0], "thumbs.vtt",
			   "thumbnails; render it first", "text/vtt", ".vtt",
			   answer, error);
}

int operation_job_video(struct control *control,
			const struct operation_call *call,
			struct operation_answer *answer, struct error *error)
{
	struct job_video video;
	int r = job_video(control->jobs, call->path[0], &video, error);

	if (r)
		return r;
	return answer_file(control, video.session, video.name,
			   "such video any more",
			   video.webm ? "video/webm" : "video/mp4",
			   video.webm ? ".webm" : ".mp4", answer, error);
}

int operation_session_capture(struct control *control,
			      const struct operation_call *call,
			      struct operation_answer *answer,
			      struct error *error)
{
	return answer_file(control, call->path[0], "wire.pcapng.zst",
			   "recording", "application/zstd", ".pcapng.zst",
			   answer, error);
}

int operation_job_list(struct control *control,
		       const struct operation_call *call,
		       struct operation_answer *answer, struct error *error)
{
	(void)call;
	return job_list(control->jobs, &answer->json, error);
}

int operation_job_show(struct control *control,
		       const struct operation_call *call,
		       struct operation_answer *answer, struct error *error)
{
	return job_show(control->jobs, call->path[0], &answer->json, error);
}

int operation_job_cancel(struct control *control,
			 const struct operation_call *call,
			 struct operation_answer *answer, struct error *error)
{
	int r = job_cancel(control->jobs, call->path[0], error);

	return r ? r
		 : job_show(control->jobs, call->path[0], &answer->json, error);
}
