# Killing a part at any time loses no recorded second but the last: the
# daemon (the viewer does not notice), the gateway (the recording is
# recovered), the guest (its session ends with a reason).
. "$SRCDIR/tests/scenario/lib.sh"

guest_build || bail "the guest could not be built"
daemon_start || bail "the daemon did not start"
ok "a vault is made" vault_create lesson || finish
ok "it starts" ctl vault start lesson || finish
ok "it plays" wait_for 120 serial_says lesson '^PLAYER playing' || finish

# watch NAME: a viewer in the background; sets watcher and session.
watch()
{
	ctl connect lesson --vv "$work/$1.vv" >/dev/null || return 1
	"$BUILDDIR/tests/scenario/spice_watch" --seconds 120 \
		--picture "$work/$1.ppm" "$work/$1.vv" >"$work/$1.log" 2>&1 &
	watcher=$!
	cleanup_pids="$cleanup_pids $watcher"
	wait_for 20 live_session
}
live_session()
{
	session=$(ctl --json session list |
		jq -er '.[] | select(.state == "live").id')
}
state_is()
{
	[ "$(ctl --json session show "$session" | jq -r .state)" = "$1" ]
}
reason()
{
	ctl --json session show "$session" | jq -r .end_reason
}
running()
{
	kill -0 "$1" 2>/dev/null
}
# recorded MILLISECONDS: the session's capture holds at least that much.
recorded()
{
	recorded_ms=$(ctl --json session show "$session" | jq -r .duration_ms)
	echo "$recorded_ms ms in the catalogue, $1 wanted"
	[ "$recorded_ms" -ge "$1" ]
}
capture_holds()
{
	capture=$(find "$state/sessions" -path "*$session*" \
		-name wire.pcapng.zst)
	capture_seconds=$(zstd -dcq "$capture" 2>/dev/null |
		tshark -r - -T fields -e frame.time_relative 2>/dev/null |
		tail -1)
	echo "$capture_seconds s in the file, $1 wanted"
	awk -v a="$capture_seconds" -v b="$1" 'BEGIN { exit !(a >= b) }'
}
gateway_pid()
{
	ctl --json status | jq -r .gateway.pid
}

# The daemon.
ok "a viewer watches" watch first || finish
begin=$(date +%s)
gateway=$(gateway_pid)
sleep 3
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
sleep 2
ok "without the daemon the viewer goes on" running "$watcher"
ok "and the gateway" running "$gateway"
ok "the daemon starts again" daemon_start || finish
ok "it finds the guest running" sh -c \
	"[ \"\$('$BUILDDIR/mediavmctl' --socket '$run/api.sock' --json \
	vault show lesson | jq -r .state)\" = running ]"
ok "and the session live" wait_for 5 state_is live
ok "and the same gateway" running "$gateway"
sleep 1
ok "a second viewer is refused while one watches" sh -c "
	'$BUILDDIR/mediavmctl' --socket '$run/api.sock' connect lesson \
		--vv '$work/second.vv' &&
	! '$BUILDDIR/tests/scenario/spice_watch' --seconds 5 '$work/second.vv'"
ok "the first does not notice" running "$watcher"
seconds=$(($(date +%s) - begin))
kill "$watcher"
wait "$watcher"
ok "the viewer had a picture all the time" test -s "$work/first.ppm"
ok "the session ends" wait_for 15 state_is ended
ok "it lacks nothing" recorded $(((seconds - 1) * 1000))
ok "nor does its capture" capture_holds $((seconds - 2))
ok "its digest and signature hold" ctl session verify "$session"

# The gateway.
ok "a viewer watches again" watch second || finish
begin=$(date +%s)
sleep 4
kill -9 "$gateway"
seconds=$(($(date +%s) - begin))
wait "$watcher"
ok "the session is recovered" wait_for 30 state_is recovered || finish
ok "but for the last second" recorded $(((seconds - 1) * 1000))
ok "its reason is said" sh -c "[ '$(reason)' = lost ]"
ok "its video can be made" ctl session render "$session" -o "$work/r.mp4"
ok "and says that it is cut off" sh -c \
	"'$BUILDDIR/mediavmctl' --socket '$run/api.sock' --json \
	session show '$session' | jq -r .video.note | grep 'cut off'"
recovered_frames()
{
	ffmpeg -v error -i "$work/r.mp4" -f rawvideo -pix_fmt rgb24 - |
		"$BUILDDIR/tests/scenario/frame_numbers" 1024 768 >/dev/null
}
ok "and shows the lesson" recovered_frames
ok "the daemon goes on" ctl status
new_gateway()
{
	[ "$(ctl --json events | grep -c '"gateway.restarted"')" -ge 1 ]
}
ok "with another gateway" wait_for 20 new_gateway
ok "through which a viewer comes in" watch third || finish

# The guest.
sleep 2
kill -9 $(guest_pid lesson)
wait "$watcher"
ok "the session of a killed guest ends" wait_for 15 state_is ended
ok "because of the guest" sh -c "[ '$(reason)' = guest ]"
crashed()
{
	[ "$(ctl --json vault show lesson | jq -r .state)" = crashed ]
}
ok "its vault is crashed" wait_for 15 crashed
again()
{
	ctl vault start lesson
}
ok "and can be started again" wait_for 15 again
ok "the player still has its licence" \
	wait_for 120 serial_says lesson '^PLAYER licensed'
ok "it is stopped by force" ctl vault stop lesson --force
finish
