# A libvirtd that goes away and comes back: what runs meanwhile is not taken
# for stopped, and the daemon ends when it shall.
. "$SRCDIR/tests/scenario/lib.sh"

libvirtd=/usr/sbin/libvirtd
if [ "$(id -u)" != 0 ] || [ ! -x "$libvirtd" ]; then
	skip "a libvirtd that goes away" "there is none, or no user for it"
	finish
fi
guest_build || bail "the guest could not be built"

# Root's would be that of the system; nobody has one of its own.
mkdir -p "$work/bin" "$work/home" "$work/rt"
cp "$BUILDDIR/mediavmd" "$BUILDDIR/mediavmctl" "$work/bin"
cp "$kernel" "$work/vmlinuz"
chmod 644 "$work/vmlinuz"
chown nobody "$work/home" "$work/rt"
BUILDDIR=$work/bin
as_user=nobody
HOME=$work/home XDG_RUNTIME_DIR=$work/rt XDG_CONFIG_HOME=$work/home/config
XDG_CACHE_HOME=$work/home/cache
export HOME XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_CACHE_HOME
libvirtd_start()
{
	setsid runuser -u nobody -- "$libvirtd" \
		--pid-file "$work/rt/libvirtd.pid" >"$work/libvirtd.log" 2>&1 &
	wait_for 20 test -S "$work/rt/libvirt/libvirt-sock"
}
libvirtd_kill()
{
	kill -9 "$(cat "$work/rt/libvirtd.pid")" &&
		rm -f "$work/rt/libvirt/libvirt-sock"
}
daemon_config "identity = $work/identity" "[libvirt]" \
	"uri = qemu+unix:///session?socket=$work/rt/libvirt/libvirt-sock"

ok "there is a libvirtd" libvirtd_start || finish
ok "the daemon starts" daemon_start || finish
ok "a vault is made" ctl vault create one --memory 64M --cpus 1 \
	--kernel "$work/vmlinuz"
ok "it starts" ctl vault start one || finish
shows()
{
	ctl --json vault show one | jq -e ".state == \"$1\""
}
ok "libvirtd goes away" libvirtd_kill
ok "the guest does not" guest_pid one
ok "and is not taken for stopped" shows running
ok "nor frozen under its feet" is_refused 'no libvirtd answers' \
	ctl vault snapshot one create x
ok "nor deleted" is_refused 'it runs' ctl vault delete one --yes
ok "libvirtd comes back" libvirtd_start
ok "so does the guest" wait_for 20 shows running
ok "it is stopped" ctl vault stop one --force
ok "which shows" wait_for 10 shows stopped
leaves()
{
	kill "$(pgrep -x -u nobody -f "$work/bin/mediavmd --config.*")" &&
		wait_for 10 is_gone
}
is_gone()
{
	! pgrep -x -u nobody -f "$work/bin/mediavmd --config.*"
}
ok "the daemon ends when it is told to" leaves
finish
