# A guest that libvirt had already, taken over: the player was activated under
# plain libvirt and plays on in the vault; what changed and what stays unpinned
# is told. A second copy of the machine is refused on this host.
. "$SRCDIR/tests/scenario/lib.sh"

guest_build || bail "the guest could not be built"
daemon_config "[daemon]" "identity = $work/identity"
daemon_start || bail "the daemon did not start"

# As virt-install writes it, with what virsh dumpxml adds but for addresses.
uuid=b1f1e3c5-27ab-4c55-8d3e-6f7a8b9c0d1e
mkdir "$work/images"
cp "$lesson" "$work/images/player.qcow2"
cat >"$work/player.xml" <<END
<domain type='qemu' id='7'>
  <name>old-player</name>
  <uuid>$uuid</uuid>
  <memory unit='MiB'>512</memory>
  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>
  <vcpu placement='static' cpuset='0'>2</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>$kernel</kernel>
    <initrd>$initrd</initrd>
    <cmdline>$cmdline player.once</cmdline>
  </os>
  <features><acpi/><apic/><vmport state='off'/></features>
  <cpu mode='custom' match='exact'><model>Westmere</model></cpu>
  <clock offset='localtime'>
    <timer name='rtc' tickpolicy='catchup'/>
    <timer name='hpet' present='no'/>
  </clock>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='$work/images/player.qcow2'/>
      <target dev='sda' bus='sata'/>
    </disk>
    <disk type='file' device='cdrom'>
      <source file='$work/images/gone.iso'/>
      <target dev='sdb' bus='sata'/><readonly/>
    </disk>
    <controller type='usb' model='qemu-xhci' ports='15'/>
    <interface type='user'>
      <mac address='52:54:00:6b:3c:58'/>
      <model type='e1000e'/>
    </interface>
    <serial type='file'><source path='$work/old.log'/></serial>
    <channel type='spicevmc'>
      <target type='virtio' name='com.redhat.spice.0'/>
    </channel>
    <input type='tablet' bus='usb'/>
    <graphics type='spice' autoport='yes' listen='127.0.0.1' passwd='secret'/>
    <sound model='ich9'/>
    <video><model type='qxl'/></video>
    <memballoon model='virtio'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
  <seclabel type='dynamic' model='dac' relabel='yes'/>
</domain>
END

# plain COMMAND...: libvirt without mediavm.
plain()
{
	"$BUILDDIR/tests/scenario/hypervisor" embed "$work/plain" "$@"
}
fields()
{
	tr -d '\r' | grep -a '^PLAYER field' | sort
}
starts_plainly()
{
	plain "start:$work/player.xml" | grep '^start: ok'
}
: >"$work/images/gone.iso"
ok "it starts under plain libvirt" starts_plainly
rm -f "$work/images/gone.iso"
ok "its player is activated there" \
	wait_for 120 grep -a '^PLAYER activated' "$work/old.log"
ok "and plays" wait_for 60 grep -a '^PLAYER playing' "$work/old.log"
plain "force:$uuid" >/dev/null
fields <"$work/old.log" >"$work/before"
ok "it named the hardware that it is bound to" test -s "$work/before"

# What a vault cannot carry is refused, in one line.
refused()
{
	sed "$1" "$work/player.xml" >"$work/bad.xml"
	! ctl vault adopt "$work/bad.xml" 2>"$work/err" || return 1
	cat "$work/err"
	grep -q "$2" "$work/err" && [ "$(wc -l <"$work/err")" = 1 ]
}
ok "a machine without a UUID is refused" refused '/<uuid>/d' 'no UUID'
ok "a card without a MAC address is refused" refused '/<mac/d' 'no MAC'
ok "a device of the host is refused" refused \
	"s|<video>|<hostdev mode='subsystem' type='usb'/><video>|" hostdev
ok "a shared folder is refused" refused \
	"s|<video>|<filesystem type='mount'/><video>|" 'shared with the host'
ok "a block device is refused" refused "s/'file' device='disk'/'block' device='disk'/" \
	'of type block'
qemu-img create -q -f qcow2 -F qcow2 -b "$work/images/player.qcow2" \
	"$work/images/over.qcow2"
ok "a disk over another is refused" refused 's/player\.qcow2/over.qcow2/' \
	'disk sda'
ok "a TPM of the host is refused" refused \
	"s|<video>|<tpm><backend type='passthrough'/></tpm><video>|" 'TPM'
ok "a missing state of a TPM is refused" refused \
	"s|<video>|<tpm><backend type='emulator' version='2.0'/></tpm><video>|" \
	'tpm-state'
ok "a domain that runs is refused" sh -c "
	! '$BUILDDIR/mediavmctl' --socket '$run/api.sock' vault adopt test \
		--connect test:///default 2>'$work/err' &&
	grep 'shut it down first' '$work/err'"
# The embedded driver would take this URI for its own.
ok "the host's libvirt is asked, and what to do without one is said" \
	is_refused "no libvirtd answers.*$work/no.socket" ctl vault adopt test \
	--connect "qemu:///system?socket=$work/no.socket"
runs_nothing()
{
	is_refused 'may not name a program' ctl vault adopt test --connect "$1" &&
		[ ! -e "$work/ran" ]
}
printf '#!/bin/sh\n: >%s/ran\n' "$work" >"$work/program"
chmod 755 "$work/program"
for parameter in command COMMAND co%6dmand; do
	ok "no program is run by a URI with $parameter" runs_nothing \
		"qemu+ext:///system?$parameter=$work/program"
	ok "nor over ssh" runs_nothing \
		"qemu+ssh://localhost/system?$parameter=$work/program"
done
ok "nothing is left of those" sh -c "[ \"\$(ls '$state/vaults')\" = '' ]"

ok "it is taken over" sh -c "'$BUILDDIR/mediavmctl' --json \
	--socket '$run/api.sock' vault adopt '$work/player.xml' \
	--name player >'$work/answer'" || finish
reported()
{
	jq -e --arg text "$2" \
		".adoption.$1 | map(select(contains(\$text))) | length == 1" \
		"$work/answer"
}
ok "its UUID stays" [ "$(jq -r .uuid "$work/answer")" = "$uuid" ]
for text in '127.0.0.1, with its password, was replaced' \
	'q35 is written as pc-q35-' 'QM00001' '52:54:00:6b:3c:58' \
	'seclabel' 'memoryBacking' 'gone.iso' 'copied into the vault; do not'; do
	ok "it tells of the change: $text" reported changed "$text"
done
ok "it tells that the CPU's vendor is not pinned" reported unpinned vendor
definition=$state/vaults/$uuid/domain.xml
kept()
{
	! grep -e secret -e autoport -e seclabel "$definition" &&
		grep -q "clock offset=.localtime" "$definition" &&
		grep -q "Westmere" "$definition" &&
		grep -q "<disk.*file" "$definition" &&
		[ "$(grep -c '<address type=.pci' "$definition")" -ge 8 ]
}
ok "the definition is complete and has no password" kept
ok "it starts as a vault" ctl vault start player || finish
ok "its player plays on" wait_for 120 serial_says player '^PLAYER playing'
ok "it was not refused, nor activated anew" sh -c \
	"! grep -a -e 'PLAYER refused' -e 'PLAYER activated' \
	'$state/vaults/$uuid/serial.log'"
serial player | fields >"$work/after"
ok "field by field it is the same machine" diff "$work/before" "$work/after"

# The copied definition and disk under another daemon, as another vault.
second()
{
	"$BUILDDIR/mediavmd" --config "$work/mediavmd.conf" \
		--state "$work/twin" --run "$work/run2" \
		>"$work/twin.log" 2>&1 &
	cleanup_pids="$cleanup_pids $!"
	wait_for 30 "$BUILDDIR/mediavmctl" --socket "$work/run2/api.sock" \
		status
}
twin()
{
	"$BUILDDIR/mediavmctl" --socket "$work/run2/api.sock" "$@"
}
ok "a second daemon takes over the same machine, its disk in place" sh -c "
	cp '$work/images/player.qcow2' '$work/images/twin.qcow2'
	echo medium >'$work/images/twin.iso'
	sed -e 's/player\\.qcow2/twin.qcow2/' -e 's/gone\\.iso/twin.iso/' \
		-e 's|/dev/urandom|/dev/hwrng|' -e 's|<vcpu|<iothreads>1</iothreads>\
		<iothreadids><iothread id=\"4\"/></iothreadids>&|' \
		'$work/player.xml' >'$work/twin.xml'"
ok "the second daemon is there" second
ok "a machine is adopted once, by whatever name" is_refused \
	'here already, as vault "player"' \
	ctl vault adopt "$work/twin.xml" --in-place
ok "it has the machine as well" twin vault adopt "$work/twin.xml" --in-place
twin_refused()
{
	! twin vault start old-player 2>"$work/err" || return 1
	cat "$work/err"
	grep -q "runs on this host already.*guest player" "$work/err"
}
ok "but may not start it" twin_refused
ctl vault stop player --force >/dev/null
twin_is_a_copy()
{
	! twin vault start old-player 2>"$work/err" || return 1
	cat "$work/err"
	grep -q "this is a copy: vault player in $state/vaults/$uuid on " \
		"$work/err"
}
ok "nor when the first is stopped: that one has the lease" twin_is_a_copy
ok "until its owner says that the first is retired" \
	twin vault restore old-player
ok "then it starts" twin vault start old-player
its_disk_is()
{
	twin --json vault show old-player | jq -e --arg path "$1" \
		'.disks[0] | .in_place and .path == $path'
}
ok "its disk is where it was" its_disk_is "$work/images/twin.qcow2"

# It moves: what was left in place goes into the bundle.
ok "a backup of it as it runs" twin vault export old-player "$work/now.mvault"
twin vault stop old-player --force >/dev/null
ok "it is sealed" twin vault seal old-player
sealed=$(twin --json vault show old-player | jq -r .identity.digest)
sha256sum "$work/images/twin.qcow2" "$work/images/twin.iso" >"$work/outside"
ok "it is exported to move" twin vault export old-player \
	"$work/twin.mvault" --move --yes
ok "its disk stays where it was, as it was" sha256sum -c "$work/outside"
handed_over()
{
	! twin vault start old-player 2>"$work/err" || return 1
	grep 'handed over' "$work/err"
}
ok "but does not start there any more" handed_over
ctl vault delete player --yes >/dev/null
ok "it is imported elsewhere" ctl vault import "$work/twin.mvault" || finish
all_is_inside()
{
	ls "$state/vaults/$uuid/disks"
	[ -f "$state/vaults/$uuid/disks/sda.qcow2" ] &&
		[ -z "$(find "$state/vaults/$uuid" -type l)" ] &&
		! grep "$work/images" "$definition" &&
		cmp "$work/images/twin.iso" "$state/vaults/$uuid/disks/sdb.iso"
}
ok "all of it is in the vault" all_is_inside
mv "$work/images" "$work/elsewhere"
ok "the machine is the same, seen from inside" ctl vault verify old-player
ok "its digest too" [ "$(ctl --json vault show old-player |
	jq -r .identity.digest)" = "$sealed" ]
ok "and digests of its disk agree" ctl vault verify old-player --deep
ok "it starts" ctl vault start old-player
ok "its player plays on" wait_for 120 serial_says old-player '^PLAYER playing'
ok "with the licence that it had" sh -c \
	"! grep -a -e 'PLAYER refused' -e 'PLAYER activated' \
	'$state/vaults/$uuid/serial.log'"
ctl vault stop old-player --force >/dev/null
ctl vault delete old-player --yes >/dev/null
ok "so is the backup of the running one" \
	ctl vault import "$work/now.mvault" --name backup
ok "its disk is whole" sh -c "ls '$state/vaults/$uuid/disks' &&
	qemu-img check '$state/vaults/$uuid/disks/sda.qcow2'"
finish
