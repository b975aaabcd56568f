# The main job by a user without any rights, as root's tests do it by root:
# a daemon on folders of its own, a guest, a session, its video.
. "$SRCDIR/tests/scenario/lib.sh"

if [ "$(id -u)" != 0 ]; then
	skip "the daemon as another user" "run by a user already"
	finish
fi
guest_build || bail "the guest could not be built"

# nobody may not be able to read where we are.
for file in mediavmd mediavmctl tests/scenario/spice_watch \
	tests/scenario/frame_numbers; do
	mkdir -p "$work/bin/$(dirname $file)"
	cp "$BUILDDIR/$file" "$work/bin/$file"
done
cp "$kernel" "$initrd" "$lesson" "$work"
kernel=$work/vmlinuz initrd=$work/initrd.img lesson=$work/lesson.qcow2
BUILDDIR=$work/bin
chmod 644 "$work"/vmlinuz "$work"/initrd.img "$work"/lesson.qcow2

as_user=nobody
ok "the daemon starts" daemon_start || finish
ok "it is nobody's" sh -c "[ \$(stat -c %U '$run/api.sock') = nobody ]"
as_nobody()
{
	runuser -u nobody -- "$@"
}
daemons()
{
	! pgrep -f "$work/bin/mediavmd" -u root | grep -v "^$daemon_pid\$"
}
ok "no part of it is root's" daemons
ok "a vault is made" vault_create lesson || finish
ok "it starts" ctl vault start lesson || finish
ok "it plays" wait_for 120 serial_says lesson '^PLAYER playing' || finish
qemu_user()
{
	[ "$(ps -o user= -p "$(guest_pid lesson)")" = nobody ]
}
ok "QEMU is nobody's" qemu_user
ok "nobody makes a ticket" as_nobody "$BUILDDIR/mediavmctl" \
	--socket "$run/api.sock" connect lesson --vv "$work/u.vv" || finish
ok "a session is watched" as_nobody "$BUILDDIR/tests/scenario/spice_watch" \
	--seconds 6 "$work/u.vv"
session=$(ctl --json session list | jq -r '.[0].id')
ended()
{
	ctl --json session show "$session" | jq -e '.state == "ended"'
}
ok "it ends" wait_for 15 ended
ok "it is rendered" ctl session render "$session" -o "$work/u.mp4"
numbers()
{
	ffmpeg -v error -i "$work/u.mp4" -f rawvideo -pix_fmt rgb24 - |
		"$BUILDDIR/tests/scenario/frame_numbers" 1024 768
}
ok "its video carries the guest's numbers" numbers
a_stranger()
{
	! runuser -u daemon -- "$BUILDDIR/mediavmctl" \
		--socket "$run/api.sock" status
}
ok "another user is refused" a_stranger
ok "the vault stops" ctl vault stop lesson --force
finish
