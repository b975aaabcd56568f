# One copy of a vault runs: copies of a state folder, made while it ran and
# before it ran again, are refused with a reason; of two daemons that race for
# one machine one wins, each time; a daemon that is killed while it starts a
# vault leaves it startable. ROUNDS sets how often the races are run.
. "$SRCDIR/tests/scenario/lib.sh"
rounds=${ROUNDS:-1}

# The vault has a kernel and nothing else, which is enough to run.
guest_build || bail "the guest could not be built"
daemon_start || bail "the daemon did not start"
ok "a vault is made" ctl vault create one --memory 64M --cpus 1 \
	--kernel "$kernel" || finish
uuid=$(ctl --json vault show one | jq -r .uuid)

# twin…: the second daemon, on a copy of the first one's state folder.
twin_pid=
twin_start()
{
	setsid "$BUILDDIR/mediavmd" --config "$work/mediavmd.conf" \
		--state "$work/twin" --run "$work/run2" \
		>>"$work/twin.log" 2>&1 &
	twin_pid=$!
	cleanup_pids="$cleanup_pids $twin_pid"
	wait_for 30 twin status
}
twin_stop()
{
	kill "$twin_pid" && wait "$twin_pid"
	twin_pid=
}
twin()
{
	"$BUILDDIR/mediavmctl" --socket "$work/run2/api.sock" "$@"
}
twin_copy()
{
	rm -rf "$work/twin" && cp -a "$state" "$work/twin"
}
# refused ctl|twin PATTERN: a start is, with these words.
refused()
{
	"$1" vault start one >/dev/null 2>"$work/err" && return 1
	cat "$work/err"
	grep -q "$2" "$work/err" && [ "$(wc -l <"$work/err")" = 1 ]
}
lease_is()
{
	"$1" --json vault show one | jq -e ".lease.state == \"$2\" and
		(.lease.why == null) == (\"$2\" == \"here\")"
}
runs()
{
	"$1" --json vault show one | jq -e '.state == "running"' >/dev/null
}
epoch()
{
	"$1" --json vault show one | jq .lease.epoch
}
audited()
{
	"$1" --json events | jq -e "map(select(.type == \"$2\" and
		.vault == \"one\" and .who != null)) | length == 1"
}

ok "its lease is here" lease_is ctl here
ok "it starts" ctl vault start one || finish
ok "that raised its run epoch" [ "$(epoch ctl)" = 1 ]
guest=$(guest_pid one)

# A copy of the whole state folder, made while it runs.
ok "the state folder is copied" twin_copy
ok "a second daemon is there" twin_start || bail "$(cat "$work/twin.log")"
twin_is_stopped()
{
	twin --json vault show one | jq -e '.state == "stopped"'
}
ok "it does not take the other's guest for its own" twin_is_stopped
ok "and may not start: who runs is named" refused twin \
	"runs on this host already, as process $guest, guest one"
ok "nor with force" sh -c \
	"! '$BUILDDIR/mediavmctl' --socket '$work/run2/api.sock' vault start \
		one --force-lease"
ok "the guest goes on" kill -0 "$guest"
ok "as its daemon knows" runs ctl
ctl vault stop one --force >/dev/null
ok "when it is stopped the copy is refused still" refused twin \
	"this is a copy: vault one in $state/vaults/$uuid on .* vault restore"
ok "it says so before it is asked" lease_is twin elsewhere
ok "the first starts again" ctl vault start one
ctl vault stop one --force >/dev/null
ok "now the copy is behind as well" refused twin 'behind (its last run is 1)'

# Past the lease, and back.
ok "force goes past it" twin vault start one --force-lease
ok "which is in the audit log" audited twin lease.forced
twin vault stop one --force >/dev/null
ok "then the first is behind" refused ctl \
	"vault one in $work/twin/vaults/$uuid on .* has the lease"
ok "its owner says that the copy is retired" ctl vault restore one \
	--statement "the twin was a test"
ok "which is in the audit log too" audited ctl lease.restored
ok "and with the vault, signed" sh -c "
	jq -e '.record.statement == \"the twin was a test\" and
		(.record.signature | length == 128)' \
		'$state/vaults/$uuid/lease.json'"
ok "once is enough" sh -c \
	"'$BUILDDIR/mediavmctl' --socket '$run/api.sock' vault restore one \
		2>&1 | grep 'has the lease of its machine already'"
ok "it starts here" ctl vault start one
ctl vault stop one --force >/dev/null
ok "and not there" refused twin 'behind'

# Two daemons, each with a copy of an older version's vault, for which nobody
# is known to have the lease: whoever comes first has it.
# both OPTION...: starts both at once; sets won and lost.
both()
{
	ctl vault start one "$@" >"$work/a.out" 2>&1 &
	a=$!
	twin vault start one "$@" >"$work/b.out" 2>&1 &
	b=$!
	won=0
	wait "$a" && won=$((won + 1)) && last=ctl
	wait "$b" && won=$((won + 1)) && last=twin
	[ "$won" = 1 ] && runs "$last" &&
		[ "$(pgrep -fc "guest=one,.*$work")" = 1 ] && return 0
	cat "$work/a.out" "$work/b.out"
	return 1
}
leaseless()
{
	rm -f "$work"/registry/*.json "$state/vaults/$uuid/lease.json" \
		"$work/twin/vaults/$uuid/lease.json"
	both
}
forced()
{
	both --force-lease
}
races()
{
	wins=
	for round in $(seq "$rounds"); do
		"$1" || return 1
		wins="$wins $last"
		"$last" vault stop one --force >/dev/null || return 1
	done
	echo "won:$wins"
}
ok "races for a lease that nobody has, $rounds: one wins each" races leaseless
same_daemon()
{
	"$last" vault start one >"$work/a.out" 2>&1 &
	a=$!
	"$last" vault start one >"$work/b.out" 2>&1 &
	b=$!
	won=0
	wait "$a" && won=$((won + 1))
	wait "$b" && won=$((won + 1))
	cat "$work/a.out" "$work/b.out"
	[ "$won" = 1 ] && runs "$last"
}
ok "two commands for one vault: one wins" same_daemon
"$last" vault stop one --force >/dev/null
# Both have forced it, so it is QEMU's own lock that decides.
ok "races past the lease, $rounds: one QEMU runs each time" \
	races forced
twin_stop

# kill -9 of the daemon while it starts the vault.
ctl vault restore one --yes >/dev/null 2>&1
killed()
{
	for round in $(seq "$rounds"); do
		ctl vault start one >/dev/null 2>&1 &
		a=$!
		sleep "0.$(awk -v s="$$$round" \
			'BEGIN { srand(s); printf "%03d", rand() * 400 }')"
		kill -9 "$daemon_pid"
		wait "$daemon_pid" "$a" 2>/dev/null
		daemon_start || return 1
		runs ctl || ctl vault start one || return 1
		[ "$(pgrep -fc "guest=one,.*$work")" = 1 ] || return 1
		lease_is ctl here || return 1
		ctl vault stop one --force >/dev/null || return 1
	done
}
ok "killed in a start, times $rounds: it runs, or starts again" killed
finish
