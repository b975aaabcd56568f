# What must survive: control, gateway and both are killed while somebody
# watches; the recording is whole up to then, the catalogue is right, the
# guest goes on. And who is let in: takeover, a foreign address.
. "$SRCDIR/tests/scenario/lib.sh"

guest_build || bail "the guest could not be built"
daemon_config '[render]' 'automatic = 0'
daemon_start || bail "the daemon did not start"
ok "a vault is created" vault_create keep || finish
ok "it starts" ctl vault start keep || finish

# watch FILE SECONDS: a viewer in the background; sets $viewer.
watch()
{
	"$BUILDDIR/tests/scenario/spice_watch" --seconds "$2" "$1" \
		>"$1.log" 2>&1 &
	viewer=$!
	cleanup_pids="$cleanup_pids $viewer"
}

newest()
{
	ctl --json session list --limit 1 | jq -r ".[0].$1"
}

newest_is()
{
	[ "$(newest state)" = "$1" ]
}

gateway_pid()
{
	ctl --json status | jq -r .gateway.pid
}

# A new session, live.
begin()
{
	before=$(newest id)
	ctl connect keep --vv "$work/$1.vv" || return 1
	watch "$work/$1.vv" "$2"
	wait_for 20 is_new
}

is_new()
{
	[ "$(newest id)" != "$before" ] && newest_is live
}

whole()
{
	ctl session verify "$(newest id)" &&
		[ "$(newest capture.bytes)" -gt 0 ] &&
		[ "$(newest capture.sha256)" != null ]
}

ok "a viewer is in" begin a 8 || finish
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
ok "the daemon starts again" daemon_start || finish
ok "the viewer is still in" newest_is live
ok "and watched to its end" wait "$viewer"
ok "the session ended as if nothing had been" wait_for 10 newest_is ended
ok "its recording is whole and signed" whole

ok "a viewer is in" begin b 30 || finish
sleep 1
kill -9 "$(gateway_pid)"
ok "without its gateway the session is recovered" \
	wait_for 10 newest_is recovered
ok "its recording is whole" wait_for 10 whole
wait "$viewer" 2>/dev/null
restarted()
{
	ctl --json status | jq -e .gateway.running &&
		ctl --json events | grep -q gateway.restarted
}
ok "the gateway is back, and the log says so" wait_for 10 restarted

ok "a viewer is in" begin c 30 || finish
sleep 1
gateway=$(gateway_pid)
kill -9 "$daemon_pid" "$gateway"
wait "$daemon_pid" 2>/dev/null
ok "the daemon starts again" daemon_start || finish
ok "the session is recovered" wait_for 10 newest_is recovered
ok "its recording is whole" wait_for 10 whole
wait "$viewer" 2>/dev/null
running()
{
	ctl --json vault show keep | jq -e '.state == "running"'
}
ok "the guest went on" running

# A failed start leaves the running daemon and its gateway alone.
second()
{
	"$BUILDDIR/mediavmd" --config "$work/mediavmd.conf" --state "$state" \
		--run "$run"
	[ $? = 1 ]
}
ok "a second daemon is refused" second
sessions_orphaned()
{
	[ "$(find "$state/sessions" -mindepth 3 -maxdepth 3 | wc -l)" = \
		"$(ctl --json session list | jq length)" ]
}
ok "each session has its folder, each folder its session" sessions_orphaned

# Who is let in.
refused()
{
	ctl --json events | grep '"ticket.refused"' | grep -q "$1"
}
turned_away()
{
	"$BUILDDIR/tests/scenario/spice_watch" --seconds 5 "$1"
	[ $? = 2 ]
}
ok "a viewer is in" begin d 60 || finish
ctl connect keep --vv "$work/e.vv" >/dev/null
ok "a second viewer is turned away" turned_away "$work/e.vv"
ok "the log says who watches" wait_for 5 refused 'already watched from 127'
ok "the first goes on" newest_is live
ok "the policy is changed" ctl vault policy keep takeover=allow
first=$(newest id)
ok "then the second takes over" begin f 5
wait "$viewer" 2>/dev/null
killed()
{
	ctl --json session show "$first" |
		jq -e '.end_reason == "killed" and .state == "ended"'
}
ok "the first was sent away" wait_for 10 killed

foreign()
{
	curl -s --unix-socket "$run/api.sock" \
		-H 'Content-Type: application/json' \
		-d '{"address": "192.0.2.1"}' \
		http://localhost/api/v1/vaults/keep/connect |
		jq -r .vv >"$work/g.vv" &&
		turned_away "$work/g.vv"
}
ok "a ticket for another address is refused" foreign
ok "the log says so" wait_for 5 refused '"foreign address"'
unknown()
{
	sed 's/^password=.*/password=abcdefgh/' "$work/g.vv" >"$work/h.vv"
	turned_away "$work/h.vv"
}
ok "a made-up ticket is refused" unknown
ok "the log says so" wait_for 5 refused '"unknown"'
finish
