/* Operations that look into a recording: pcapng, dump, frame, statistics. */
#include "daemon/operations.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/job.h"
#include "daemon/look.h"
#include "daemon/operations_query.h"
#include "daemon/session.h"

#define FIRST_BYTE_MS 60000

/* The call's query as the text that a job takes, if it makes sense. */
static int read_query(const struct operation_call *call,
		      const char *const keys[], char text[LOOK_SIZE],
		      struct look *look, struct error *error)
{
	int r = 0;

	text[0] = '\0';
	for (unsigned i = 0; !r && keys[i]; i++)
		r = look_add(text, keys[i], call->query(call, keys[i]), error);
	return r ? r : look_read(look, text, error);
}

static void name_file(struct operation_answer *answer,
		      const struct session *session, const char *suffix)
{
	snprintf(answer->file_name, sizeof(answer->file_name), "%s-%s%s",
		 session->vault_name, session->id, suffix);
}

/* Waits for the first byte: a job that has none to give has failed. */
static int wait_for_output(int fd, struct error *error)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	if (poll(&p, 1, FIRST_BYTE_MS) < 0 || p.revents & POLLIN)
		return 0;
	return error_set(error, -EIO,
			 "the recording could not be read; the daemon's log "
			 "says why");
}

int operation_session_pcapng(struct control *control,
			     const struct operation_call *call,
			     struct operation_answer *answer,
			     struct error *error)
{
	struct session session;
	int fd, r = session_find(control, call->path[0], &session, error);

	if (!r)
		r = job_pipe(control->jobs, "pcapng", "", session.id, &fd,
			     error);
	if (!r) {
		r = wait_for_output(fd, error);
		if (r)
			close(fd);
	}
	if (r)
		return r;
	answer->fd = fd;
	answer->size = UINT64_MAX;
	answer->content_type = "application/x-pcapng";
	name_file(answer, &session, ".pcapng");
	return 0;
}

int operation_session_dump(struct control *control,
			   const struct operation_call *call,
			   struct operation_answer *answer, struct error *error)
{
	static const char *const keys[] = {"channel",  "from", "to", "hex",
					   "contents", "json", NULL};
	struct session session;
	char text[LOOK_SIZE];
	struct look look;
	int fd, r = read_query(call, keys, text, &look, error);

	if (!r)
		r = session_find(control, call->path[0], &session, error);
	if (!r)
		r = job_pipe(control->jobs, "dump", text, session.id, &fd,
			     error);
	if (!r)
		r = wait_for_output(fd, error);
	if (r)
		return r;
	answer->fd = fd;
	answer->size = UINT64_MAX;
	answer->content_type = look.dump.json ? "application/json"
					      : "text/plain; charset=us-ascii";
	name_file(answer, &session, look.dump.json ? ".json" : ".txt");
	return 0;
}

/* All that a job gives, in memory. */
static int run(struct control *control, const char *kind, const char *text,
	       const struct session *session, struct operation_answer *answer,
	       struct error *error)
{
	struct stat st;
	int r, fd = memfd_create(kind, MFD_CLOEXEC);

	if (fd < 0)
		return error_errno(error, errno, "no memory for the answer");
	r = job_run(control->jobs, kind, text, session->id, fd, error);
	if (!r && fstat(fd, &st))
		r = error_errno(error, errno, "no answer");
	if (r) {
		close(fd);
		return r;
	}
	answer->fd = fd;
	answer->size = (uint64_t)st.st_size;
	return 0;
}

int operation_session_frame(struct control *control,
			    const struct operation_call *call,
			    struct operation_answer *answer,
			    struct error *error)
{
	static const char *const keys[] = {"at", "monitor", "cursor", NULL};
	struct session session;
	char text[LOOK_SIZE];
	struct look look;
	int r = read_query(call, keys, text, &look, error);

	if (!r)
		r = session_find(control, call->path[0], &session, error);
	if (!r)
		r = run(control, "frame", text, &session, answer, error);
	if (r)
		return r;
	answer->content_type = "image/png";
	name_file(answer, &session, ".png");
	return 0;
}

int operation_session_stats(struct control *control,
			    const struct operation_call *call,
			    struct operation_answer *answer,
			    struct error *error)
{
	struct session session;
	int r = session_find(control, call->path[0], &session, error);

	if (!r)
		r = run(control, "stats", "", &session, answer, error);
	if (r)
		return r;
	lseek(answer->fd, 0, SEEK_SET);
	answer->json = json_loadfd(answer->fd, 0, NULL);
	close(answer->fd);
	answer->fd = -1;
	return answer->json ? 0
			    : error_set(error, -EIO,
					"the recording could not be read");
}
