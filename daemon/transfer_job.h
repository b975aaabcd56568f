/*
 * `mediavmd job send` and `mediavmd job fetch`: the processes that meet the
 * network.
 *
 * fd 3  send: the stream, a pipe           fd 4  fetch: where it goes
 * fd 5  words to the control role          fd 6  words from it
 *
 * The first line from the control role is the request, an object:
 *   url, id, state, size     as of struct transfer_send
 *   offset                   of fetch: the first byte that is wanted
 *   forget                   of send: true, to take away what is unfinished
 *   again                    true when an earlier process was killed
 *   netrc, ca, known_hosts, ssh_key, s3_endpoint, s3_region, patience
 *                            the configuration; patience: ms without a byte
 *                            after which a broken transfer is given up
 * To send, the process says how much the far end has, sends what comes from
 * there on, says at the end of its input that it is at the end, and finishes
 * only when the control role answers with the line "end". What it says:
 *   have N        send: the stream is wanted from byte N on
 *   bytes N ALL   the far end (fetch: fd 4) has N; ALL: 0 when not known
 *   state JSON    to be kept for a later run
 *   wait TEXT     the connection broke, why, and it is tried again
 *   end           send: at the end of the input, waits for "end"
 *   again TEXT    failed for now: a new process, from byte 0 on, may do it
 *   failed ERRNO TEXT     for good
 */
#ifndef DAEMON_TRANSFER_JOB_H
#define DAEMON_TRANSFER_JOB_H

/* An exit status. */
int transfer_job_send(void);
int transfer_job_fetch(void);

#endif
