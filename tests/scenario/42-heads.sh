# Several monitors: a viewer asks the guest's agent for three, they pass the
# gateway, and the video shows them side by side.
. "$SRCDIR/tests/scenario/lib.sh"

guest_build || bail "the guest could not be built"
daemon_start || bail "the daemon did not start"
cp "$lesson" "$work/heads.qcow2"
ok "a vault with four heads is made" ctl vault create heads --memory 512M \
	--cpus 2 --heads 4 --disk "$work/heads.qcow2" --kernel "$kernel" \
	--initrd "$initrd" --cmdline "$cmdline" || finish
ok "it starts" ctl vault start heads || finish
ok "it plays" wait_for 120 serial_says heads '^PLAYER playing' || finish
ok "a .vv is made" ctl connect heads --vv "$work/h.vv" || finish
ok "a viewer asks for three monitors" \
	"$BUILDDIR/tests/scenario/spice_watch" --seconds 12 --heads 3 \
	--keys hello --picture "$work/h.ppm" "$work/h.vv"
cp "$work/ok.out" "$work/watch.log"
ok "the guest has three" serial_says heads '^PLAYER heads=3'
ok "the viewer is told so" grep -qx 'monitors 0: 3' "$work/watch.log"
ok "its keys arrive" serial_says heads '^PLAYER key code=35'
session=$(ctl --json session list | jq -r '.[0].id')
ended()
{
	ctl --json session show "$session" | jq -e '.state == "ended"'
}
ok "the session ends" wait_for 15 ended
ok "it is rendered" ctl session render "$session" -o "$work/h.mp4"
size()
{
	ffprobe -v error -select_streams v -show_entries stream=width,height \
		-of csv=p=0 "$work/h.mp4"
}
wide()
{
	size
	[ "$(size | cut -d, -f1)" -ge 1920 ]
}
ok "its picture is three monitors wide" wide
# Mini header: type 104 (KEY_SCANCODE), 2 bytes: a key's press and
# release, of which only the bit that tells them apart is recorded.
keystrokes_hidden()
{
	zstd -dcq "$(find "$state/sessions" -name wire.pcapng.zst)" \
		>"$work/wire.pcapng"
	LC_ALL=C grep -aoP '\x68\0\x02\0\0\0[\0-\xff]{2}' \
		"$work/wire.pcapng" | od -An -v -tx1 -w9 >"$work/codes"
	cat "$work/codes"
	[ "$(grep -c ' 00 80 0a$' "$work/codes")" -ge 5 ] &&
		! LC_ALL=C grep -qaP '\x68\0\x02\0\0\0\x23\xa3' \
			"$work/wire.pcapng"
}
ok "the capture does not tell the keys" keystrokes_hidden
ok "it stops" ctl vault stop heads --force
finish
