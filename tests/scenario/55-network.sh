# An activation window with the hardware-bound player: closed, its network
# card leads nowhere; open, the guest reaches what the host reaches, but not
# the host's loopback; it closes at its time, without the daemon too; and the
# player finds the same machine all along.
. "$SRCDIR/tests/scenario/lib.sh"

[ -x /usr/bin/passt ] || {
	skip "activation windows" "passt is not installed"
	finish
}
# An address of this host that is not loopback's.
address=$(ip -4 route get 192.0.2.1 2>/dev/null |
	sed -n 's/.* src \([0-9.]*\).*/\1/p')
case ${address:-127.0.0.1} in
127.*)
	skip "activation windows" "this host has no address but loopback's"
	finish
	;;
esac

# Something to reach, on every address of the host: port 1 to be found free.
port=$((20000 + $$ % 20000))
while ss -Hltn "sport = :$port" | grep -q .; do
	port=$((port + 1))
done
busybox nc -ll -p "$port" -e /bin/echo mediavm >/dev/null 2>&1 &
cleanup_pids="$cleanup_pids $!"

guest_build || bail "the guest could not be built"
daemon_config '[render]' 'automatic = 0'
daemon_start || bail "the daemon did not start"
ok "a vault is created" vault_create box \
	"player.reach=$address:$port,10.0.2.2:$port" || finish
uuid=$(ctl --json vault show box | jq -r .uuid)
log=$state/vaults/$uuid/serial.log

# reach PLACE: what the guest said of it last.
reach()
{
	sed -n "s/^PLAYER net $1:$port \([a-z]*\).*/\1/p" "$log" | tail -n 1
}

guest_is()
{
	[ "$(reach "$address")" = "$1" ]
}

network()
{
	[ "$(ctl --json vault network box | jq -r .state)" = "$1" ]
}

refused()
{
	! ctl vault network box "$@" 2>"$work/refused" &&
		grep "$why" "$work/refused"
}

why='does not run'
ok "a stopped vault has no window" refused on --for 30m
ok "it starts" ctl vault start box || finish
ok "the player activates" wait_for 60 serial_says box '^PLAYER activated'
ok "closed, the guest reaches nothing" wait_for 20 guest_is unreachable
ok "and the state is off" network off
why='for how long'
ok "a window needs a time" refused on
why='1s to 24h'
ok "of a day at most" refused on --for 25h

ok "a window opens" ctl vault network box on --for 15s
ok "the state says so" network on
ok "open, the guest reaches the host's network" wait_for 14 guest_is reached
ok "but not the host's loopback" test "$(reach 10.0.2.2)" = unreachable
ok "the window closes at its time" wait_for 18 network off
ok "and the guest reaches nothing" wait_for 5 guest_is unreachable

ctl vault network box on --for 30m >/dev/null
wait_for 6 guest_is reached
ok "a window is closed by hand" ctl vault network box off
ok "at once" wait_for 5 guest_is unreachable

ctl vault network box on --for 15s >/dev/null
ok "it opens again" wait_for 14 guest_is reached
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
ok "with the daemon dead, it closes by itself" wait_for 22 guest_is unreachable
ok "the daemon starts again" daemon_start || finish
ok "and knows that it is closed" network off

ctl vault network box on --for 30m >/dev/null
wait_for 6 guest_is reached
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
sqlite3 "$state/catalog.db" "UPDATE network_window SET until = 1"
daemon_start || bail "the daemon did not start"
ok "what became overdue without a daemon closes when one starts" \
	wait_for 5 guest_is unreachable

ctl vault network box on --for 30m >/dev/null
ctl vault stop --force box >/dev/null
ok "the guest's end closes it" wait_for 5 network off
audit()
{
	ctl --json events --limit 1000 |
		jq -e "[.[] | select(.type == \"network.$1\")] | length == $2"
}
ok "each opening is in the audit log" audit opened 5
ok "and each closing" audit closed 5
ok "with who did it" sh -c "'$BUILDDIR/mediavmctl' --socket '$run/api.sock' \
	--json events --type network.opened | jq -e 'all(.who | test(\"uid\"))'"

: >"$work/seen"
ok "the vault starts again" ctl vault start box
ok "and the player plays: the machine is the same" \
	wait_for 60 serial_says box '^PLAYER playing frame=0'
no_refusal()
{
	! serial_says box '^PLAYER refused'
}
ok "it never refused" no_refusal
finish
