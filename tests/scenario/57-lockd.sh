# libvirt's lock manager as a configuration choice: a user's daemon, whose
# virtlockd libvirt starts, and a disk that another host has locked.
. "$SRCDIR/tests/scenario/lib.sh"

command -v virtlockd >/dev/null || {
	skip "the lock manager" "there is no virtlockd"
	finish
}
guest_build || bail "the guest could not be built"
# As a user: root's virtlockd would be the host's.
if [ "$(id -u)" = 0 ]; then
	as_user=nobody
	mkdir "$work/bin"
	cp "$BUILDDIR/mediavmd" "$BUILDDIR/mediavmctl" "$work/bin"
	BUILDDIR=$work/bin
fi
daemon_config '[libvirt]' 'lock-manager = lockd'
mkdir "$work/images"
qemu-img create -q -f raw "$work/images/disk.raw" 8M
chmod 777 "$work/images"
chmod 666 "$work/images/disk.raw"
cp "$kernel" "$work/images/kernel"
chmod 644 "$work/images/kernel"

cat >"$work/m.xml" <<END
<domain type='qemu'>
  <name>m</name>
  <uuid>00000000-0000-4000-8000-000000000001</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <kernel>$work/images/kernel</kernel></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='$work/images/disk.raw'/>
      <target dev='sda' bus='sata'/><serial>SERIAL</serial>
    </disk>
    <graphics type='spice'/>
    <video><model type='qxl'/></video>
  </devices>
</domain>
END
daemon_start || bail "the daemon did not start"
ok "a machine is adopted, its disk where it is" \
	ctl vault adopt "$work/m.xml" --in-place || finish

# The first byte of a disk is what a virtlockd locks, here or on a file server's
# other client; QEMU locks others.
lock_byte='use Fcntl; open F, "+<", $ARGV[0] or die $!;
	my $lock = pack "s s x4 q q i x4", F_WRLCK, 0, 0, 1, 0;
	fcntl F, F_SETLK, $lock or die "locked\n";
	print "mine\n"; close STDOUT; sleep $ARGV[1]'
is_locked()
{
	perl -e "$lock_byte" "$work/images/disk.raw" 0 2>&1 | grep '^locked'
}
locked_out()
{
	ctl vault start m 2>"$work/err" && return 1
	cat "$work/err"
	grep -q 'Lockspace resource.*disk.raw.* is locked' "$work/err"
}
ok "it starts" ctl vault start m
virtlockd=$(cat "$state/libvirt/user/libvirt/virtlockd.pid")
cleanup_pids="$cleanup_pids $virtlockd"
ok "and its disk is locked" is_locked
ctl vault stop m --force >/dev/null
is_free()
{
	! is_locked
}
ok "until it is stopped" is_free
perl -e "$lock_byte" "$work/images/disk.raw" 60 >"$work/lock.out" &
holder=$!
cleanup_pids="$cleanup_pids $holder"
wait_for 5 test -s "$work/lock.out"
ok "another host has the disk: it does not start" locked_out
kill "$holder"
wait "$holder" 2>/dev/null
ok "then it starts again" ctl vault start m
ctl vault stop m --force >/dev/null
kill "$virtlockd"
daemon_stop
rm "$work/mediavmd.conf"
daemon_config '[libvirt]' 'lock-manager = padlock'
refused()
{
	daemon_start && return 1
	tail -1 "$work/daemon.log"
	tail -1 "$work/daemon.log" | grep -q 'padlock.*lockd, sanlock or empty'
}
wait_for()
{
	shift
	sleep 1
	"$@" >/dev/null 2>&1
}
ok "another name is refused when the daemon starts" refused
finish
