/* Transfers, from the control role's side. */
#include "daemon/transfer.h"

int transfer_send(struct job_work *work, const struct transfer_send *send,
		  struct error *error)
{
	(void)work;
	return error_set(error, -ENOSYS, "can't send to %s yet", send->url);
}

int transfer_forget(struct job_work *work, const struct transfer_send *send,
		    struct error *error)
{
	(void)work;
	return error_set(error, -ENOSYS, "can't reach %s yet", send->url);
}

int transfer_fetch(struct job_work *work, const struct transfer_fetch *fetch,
		   struct error *error)
{
	(void)work;
	return error_set(error, -ENOSYS, "can't fetch %s yet", fetch->url);
}
