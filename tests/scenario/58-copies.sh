# A second copy does not start: of the same vault in another state folder on
# the same host, of a whole state folder, of one that was moved away, of a
# bundle that was taken already. Then two daemons race for one vault: one wins
# each time.
. "$SRCDIR/tests/scenario/lib.sh"
. "$SRCDIR/tests/scenario/lib_keep.sh"

rounds=${ROUNDS:-4}
echo "# SEED=$seed ROUNDS=$rounds"

# is_refused TEXT COMMAND...: one line that says so, and no guest.
qemus()
{
	pgrep -fc "qemu-system.*$work/"
}
ended()
{
	for pid in $(pgrep -f "qemu-system.*$work/"); do
		kill -9 "$pid"
	done
	wait_for 10 is_stopped
}
is_stopped()
{
	ctl --json vault show tiny |
		jq -e '.state == "stopped" or .state == "crashed"'
}
epoch()
{
	ctl --json vault show tiny | jq .lease.epoch
}

host first
daemon_start || bail "the daemon did not start"
ok "a vault is made" tiny_create tiny || finish
uuid=$(ctl --json vault show tiny | jq -r .uuid)
ok "it starts" starts tiny || finish

# The whole state folder, copied while nothing ran.
daemon_stop
host second first
cp -a "$work/first/state" "$work/second/state"
host first
daemon_start
host second first
daemon_start || bail "the second daemon did not start"
host first
ok "the first runs" ctl vault start tiny
host second first
ok "a copy of the state folder does not start beside it" \
	is_refused 'runs' ctl vault start tiny
host first
ended
host second first
ok "nor when the first has stopped: that one has the lease" \
	is_refused "$work/first/state.*has the lease" ctl vault start tiny
ok "nothing runs" [ "$(qemus)" = 0 ]
host first
ok "the first still does" starts tiny

# Moved away, and taken by another host.
ok "it is exported to move" \
	ctl vault export tiny "$work/moved.mvault" --move --yes
ok "here it does not start any more" \
	is_refused 'handed over' ctl vault start tiny
host second first
ok "nor does the copy" is_refused 'handed over' ctl vault start tiny
host third
daemon_start || bail "the third daemon did not start"
ok "the other host takes it" ctl vault import "$work/moved.mvault"
ok "where it starts" starts tiny
host fourth third
daemon_start || bail "the fourth daemon did not start"
ok "a bundle is taken once" is_refused 'accepted already' \
	ctl vault import "$work/moved.mvault"
host_gone fourth
host third
ctl vault delete tiny --yes >/dev/null
as_backup()
{
	ctl vault import "$work/moved.mvault" | grep 'as a backup'
}
ok "what it became is lost: now it is a backup" as_backup
ok "which does not start" is_refused 'this is a copy.*vault restore' \
	ctl vault start tiny
ok "before its owner says so" ctl vault restore tiny --yes
ok "then it does" starts tiny
# Two daemons, one folder. Who has started a vault holds its folder, so the
# winner ends, too, before the next round.
host_gone third
host_gone second
host first
ctl vault delete tiny --yes >/dev/null
ok "a vault to race for" tiny_create tiny || finish
uuid=$(ctl --json vault show tiny | jq -r .uuid)
daemon_stop
host second first
cp -a "$work/first/state" "$work/second/state"
rm -r "${work:?}/second/state/vaults/$uuid"
ln -s "$work/first/state/vaults/$uuid" "$work/second/state/vaults/$uuid"
daemon_start || bail "the second daemon did not start"
host first
daemon_start || bail "the first daemon did not start again"

# run_one NAME PAUSE: tries to start it; says what came of it in $work/NAME.won
run_one()
{
	pause_ms "$2"
	if "$BUILDDIR/mediavmctl" --socket "$work/$1/run/api.sock" \
		vault start tiny >"$work/$1.out" 2>&1; then
		echo "$1" >>"$work/winners"
	else
		echo "$1" >>"$work/losers"
	fi
}

# race: both at once, or nearly so; sets $winner.
race()
{
	rm -f "$work/winners" "$work/losers"
	chance 12
	head_start=$chance
	one_of "first second" "second first"
	set -- $one
	run_one "$1" 0 &
	one_runs=$!
	run_one "$2" "$head_start" &
	wait "$one_runs"
	wait $!
	[ "$(cat "$work/winners" | wc -l)" = 1 ] &&
		[ "$(cat "$work/losers" | wc -l)" = 1 ] &&
		[ "$(qemus)" = 1 ] || {
		cat "$work/first.out" "$work/second.out"
		pgrep -af "qemu-system.*$work/"
		return 1
	}
	winner=$(cat "$work/winners")
	grep -E 'works on|runs on this host|runs already' \
		"$work/$(cat "$work/losers").out"
}

# The winner's guest and daemon end; the loser has nothing running.
after_race()
{
	loser=$(cat "$work/losers")
	host "$loser"
	is_stopped || return 1
	host "$winner"
	for pid in $(pgrep -f "qemu-system.*$work/"); do
		kill -9 "$pid"
	done
	daemon_kill
	daemon_start && wait_for 10 is_stopped
}

before=$(epoch)
round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	race >"$work/race" 2>&1 && after_race >>"$work/race" 2>&1 || {
		ok "race $round has one winner" sh -c "cat '$work/race'; false"
		finish
	}
	echo "$winner won" >>"$work/won"
done
sort "$work/won" | uniq -c | sed 's/^/# /'
ok "$rounds races have one winner each" \
	[ "$(wc -l <"$work/won")" = "$rounds" ]
ok "each raised the epoch by one" [ "$(epoch)" = $((before + rounds)) ]
ok "and it still starts" starts tiny
finish
