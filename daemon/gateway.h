/*
 * The gateway role: TLS listeners, the SPICE link, the relay between viewers
 * and guests, the recording of what passes, the policy of the vault.
 *
 * It is told everything over the socket of schema/ipc.h and opens no file.
 */
#ifndef DAEMON_GATEWAY_H
#define DAEMON_GATEWAY_H

/*
 * `mediavmd gateway`: fd 3 is the listening SOCK_SEQPACKET socket that
 * control connects to. Returns the exit status.
 */
int gateway_main(int argc, char **argv);

#endif
