/*
 * plain_rename PROGRAM ARGUMENT... - runs a program to which renameat2() says
 * EINVAL for its flags, as on file systems (NFS) that know none.
 */
#include <errno.h>
#include <seccomp.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (argc < 2 || !filter ||
	    seccomp_rule_add(filter, SCMP_ACT_ERRNO(EINVAL),
			     SCMP_SYS(renameat2), 1,
			     SCMP_A4(SCMP_CMP_NE, 0, 0)) ||
	    seccomp_load(filter)) {
		fprintf(stderr, "plain_rename: can't\n");
		return 1;
	}
	seccomp_release(filter);
	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 1;
}
