# One session from the .vv to the replay: remote-viewer watches the guest's
# lesson to its end, the ticket works once, the capture is readable by
# tshark, its wire replay shows spicy the same last picture, and the video
# carries the guest's own frame numbers and its tone.
. "$SRCDIR/tests/scenario/lib.sh"

guest_build || bail "the guest could not be built"
screen=1024x768x24
x_start || bail "Xvfb did not start"
daemon_start || bail "the daemon did not start"
ok "a vault is created" vault_create lesson "player.once" || finish
ok "it starts" ctl vault start lesson || finish
ok "its player plays" wait_for 120 serial_says lesson '^PLAYER playing' ||
	finish

ok "a .vv is made" ctl connect lesson --vv "$work/a.vv" || finish
ok "it is private" sh -c "[ \$(stat -c %a '$work/a.vv') = 600 ]"
cp "$work/a.vv" "$work/again.vv"
sed -i 's/^delete-this-file=1/delete-this-file=0/' "$work/again.vv"

remote-viewer --full-screen --auto-resize=never "$work/a.vv" \
	>"$work/viewer.log" 2>&1 &
viewer=$!
cleanup_pids="$cleanup_pids $viewer"

live()
{
	ctl --json session list | jq -e '.[0].state == "live"'
}
ok "remote-viewer is in" wait_for 30 live || {
	sed 's/^/# /' "$work/viewer.log"
	finish
}
session=$(ctl --json session list | jq -r '.[0].id')
ok "the .vv deleted itself" wait_for 5 test ! -e "$work/a.vv"

# Nothing of the guest listens, neither TCP nor Unix (but libvirt's monitor).
guest_pids=$(guest_pid lesson)
listeners()
{
	for pid in $guest_pids; do
		ss -lntupH | grep "pid=$pid," && return 1
		ss -lxpH | grep "pid=$pid," | grep -v monitor.sock && return 1
	done
	[ -n "$guest_pids" ]
}
ok "no process of the guest listens" listeners

second_use()
{
	"$BUILDDIR/tests/scenario/spice_watch" --seconds 10 "$work/again.vv"
	[ $? = 2 ]
}
ok "the ticket's second use is refused" second_use
refused_as_used()
{
	ctl --json events | grep '"ticket.refused"' | grep '"used"'
}
ok "the audit log says that it was used" wait_for 5 refused_as_used
ok "the session goes on" live

ok "the lesson ends" wait_for 120 serial_says lesson '^PLAYER finished' ||
	finish
# The stream of the lesson ends a while later with a copy without loss.
still=0
still_picture()
{
	import -window root "$work/now.png"
	if compare -metric AE "$work/live.png" "$work/now.png" null: \
		2>/dev/null
	then
		still=$((still + 1))
	else
		still=0
	fi
	mv "$work/now.png" "$work/live.png"
	sleep 2
	[ $still -ge 3 ]
}
ok "the viewer's picture stands still" wait_for 60 still_picture
ok "the viewer's picture is readable" frame_in "$work/live.png"
kill "$viewer"
wait "$viewer" 2>/dev/null
ended()
{
	ctl --json session show "$session" | jq -e '.state == "ended"'
}
ok "the session ends with its viewer" wait_for 15 ended || finish

# The capture.
ok "it is exported" ctl session export "$session" --pcapng "$work/s.pcapng"
tshark -r "$work/s.pcapng" -V >"$work/tshark.txt" 2>"$work/tshark.err"
for name in 'Channel type: Main' 'Channel type: Display' \
	'Channel type: Inputs' 'Channel type: Cursor' \
	'Channel type: Playback' 'DRAW_COPY' 'SURFACE_CREATE' \
	'STREAM_CREATE' 'STREAM_DATA'; do
	ok "tshark names $name" grep -qi "$name" "$work/tshark.txt"
done
capture=$(find "$state/sessions" -name wire.pcapng.zst)
ok "zstd reads the capture" zstd -q -t "$capture"
recorded_digest()
{
	[ "$(sha256sum <"$capture" | cut -d' ' -f1)" = \
		"$(ctl --json session show "$session" | jq -r .capture.sha256)" ]
}
ok "its digest is the catalogue's" recorded_digest
ok "its digest and signature hold" ctl session verify "$session"

# A look into it, through the daemon; the same as into the file.
same_dump()
{
	ctl session dump "$session" >"$work/dump.txt" &&
		ctl session dump "$capture" | cmp - "$work/dump.txt" &&
		grep -q 'display:0 to-client .* stream_create' "$work/dump.txt" &&
		tail -1 "$work/dump.txt" | grep -q 'end=complete'
}
ok "its messages are printed" same_dump
ok "a channel of them as JSON" sh -c "
	'$BUILDDIR/mediavmctl' --socket '$run/api.sock' --json session dump \
		'$session' --channel inputs:0 |
	jq -e 'all(.messages[]; .channel == \"inputs:0\")'"
ok "a last frame is made" ctl session frame "$session" -o "$work/last.png"
ok "it shows the lesson" frame_in "$work/last.png"
nothing_yet()
{
	! ctl session frame "$session" --at 0 -o "$work/none.png" \
		2>"$work/err" && grep 'no picture' "$work/err"
}
ok "none before there is a picture, and why" nothing_yet
ok "its figures have the lesson's stream" sh -c "
	'$BUILDDIR/mediavmctl' --socket '$run/api.sock' --json session export \
		'$session' --stats |
	jq -e '.streams[0].codec == \"mjpeg\" and .streams[0].frames > 50 and
		.sound[0].packets > 100'"

# The wire replay to another client.
ok "a replay is made" ctl replay "$session" --mode wire --vv "$work/r.vv" ||
	finish
vv()
{
	sed -n "s/^$1=//p" "$work/r.vv"
}
vv ca | sed 's/\\n/\n/g' >"$work/ca.pem"
spicy -f -h "$(vv host)" -s "$(vv tls-port)" -w "$(vv password)" \
	--spice-ca-file="$work/ca.pem" >"$work/spicy.log" 2>&1 &
spicy=$!
cleanup_pids="$cleanup_pids $spicy"
same_picture()
{
	sleep 2
	import -window root "$work/replay.png"
	compare -metric AE "$work/live.png" "$work/replay.png" null: 2>&1 |
		grep -qx 0
}
ok "its last picture is that of the session" wait_for 90 same_picture || {
	compare -metric AE "$work/live.png" "$work/replay.png" null: 2>&1 |
		sed 's/^/# different pixels: /'
	sed 's/^/# /' "$work/spicy.log" | tail -5
	cp "$work"/*.png "$BUILDDIR/tests/log" 2>/dev/null
}
kill "$spicy"

# The video.
ok "it is rendered" ctl session render "$session" -o "$work/s.mp4" || finish
ok "its frames carry the guest's numbers, rising" numbers_rise "$work/s.mp4"
ok "its sound has the guest's tone" tone_heard "$work/s.mp4"

# Leaving: nothing is lost, nothing stays.
ok "the vault stops" ctl vault stop lesson
stopped()
{
	ctl --json vault show lesson | jq -e '.state == "stopped"'
}
ok "its guest shuts down by itself" wait_for 30 stopped
ok "the session is deleted" ctl session delete "$session"
ok "its files are gone" test ! -e "$capture"
ok "the vault is deleted" ctl vault delete lesson
finish
