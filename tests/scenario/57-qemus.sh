# One vault under two QEMUs: this host's and that of another Debian release.
# Without a seal their differences are found and named; sealed, the identity is
# equal, byte for byte, and the player plays; a QEMU that differs all the same
# is refused, with the bytes. A machine type that only one of them has.
. "$SRCDIR/tests/scenario/lib.sh"

suite=${SUITE:-trixie}
host=$(command -v qemu-system-x86_64)
other=$(sh "$SRCDIR/tests/second_qemu" "$suite" 2>"$work/why") || {
	skip "a second QEMU" "$(tail -1 "$work/why")"
	finish
}
echo "# $("$host" --version | head -1)"
echo "# $("$other" --version | head -1)"

# use EMULATOR: the daemon, from now on with this QEMU as the host's.
use()
{
	[ -z "$daemon_pid" ] || daemon_stop
	daemon_config "[libvirt]" "emulator = $1"
	daemon_start
}

# probe NAME OUTPUT: its fields but for what says nothing of the machine.
probe()
{
	ctl --json vault identity "$1" >"$work/$2.json" &&
		jq -r '.fields[] | select(.class == "sealed") |
			"\(.name)=\(.value)"' "$work/$2.json" >"$work/$2" &&
		test -s "$work/$2"
}

# differs_in NAMES FILE FILE: in these fields and no others.
differs_in()
{
	diff "$work/$2" "$work/$3" | sed -n 's/^[<>] \([^=]*\)=.*/\1/p' |
		sort -u >"$work/names"
	printf '%s\n' $1 >"$work/expected"
	diff "$work/expected" "$work/names"
}

shows()
{
	ctl --json vault show "$1" | jq -e "$2"
}

plays()
{
	ctl vault start "$1" &&
		wait_for 60 serial_says "$1" 'PLAYER playing'
}

guest_build || bail "the guest could not be built"
# SeaBIOS 1.16.2, which Debian 12 has, waits half a minute for its disks under
# QEMUs since 8.2: the vaults get the other release's firmware.
use "$other" || bail "the daemon did not start with the other QEMU"
vault_create bound >/dev/null && vault_create plain >/dev/null ||
	bail "no vaults"
ok "an unsealed vault is probed by the other QEMU" probe plain plain.other

use "$host" || bail "the daemon did not start"
ok "and by this host's" probe plain plain.host
ok "what differs is named" differs_in \
	'acpi.APIC acpi.APIC.revision acpi.DSDT smbios.4.data' \
	plain.host plain.other
ok "the player is activated" plays bound
ctl vault stop bound --force >/dev/null
ok "its machine is sealed" ctl vault seal bound
ok "as this host's QEMU shows it" probe bound bound.host
ok "and takes that QEMU along" ctl vault bundle bound

use "$other"
ok "the other QEMU shows the same, field by field" probe bound bound.other
ok "none differs" cmp "$work/bound.host" "$work/bound.other"
ok "the player plays, with the licence it had" plays bound
ok "none was given anew" serial_says bound 'PLAYER licensed'
checked()
{
	shows bound '.identity.drift == [] and .identity.sealed' &&
		ctl --json events --type vault.checked |
		jq -e '.[0].state == "good"'
}
ok "the start compared them first" checked
ctl vault stop bound --force >/dev/null

# A QEMU in which something has changed that nothing pins.
cat >"$work/changed" <<END
#!/bin/sh
exec $other "\$@" -global e1000e.subsys=0x4711
END
chmod 755 "$work/changed"
use "$work/changed"
ok "a QEMU that differs all the same is refused, with the bytes" \
	is_refused 'pci.01:00.0.subsystem was "8086:0000", is "8086:4711"' \
	ctl vault start bound
ok "and shown" shows bound '.identity.drift | length > 0'
ok "what would mend it is said" grep 'machine=own' "$work/refused"
ctl vault policy bound machine=own >/dev/null
ok "by the QEMU that sealed it, it starts" ctl vault start bound
ok "and no field differs" shows bound \
	'.emulator.of == "vault" and .identity.drift == []'
ctl vault stop bound --force >/dev/null

# A machine type that this host's QEMU has not got: the vault's own has it.
newest()
{
	"$other" -machine help | sed -n 's/^\(pc-q35-1[0-9.]*\) .*/\1/p' |
		head -1
}
type=$(newest)
if [ -n "$type" ] && ! "$host" -machine help | grep -q "^$type "; then
	use "$other"
	sed -i "s/pc-q35-[0-9.]*/$type/" "$state/vaults/$(ctl --json vault \
		show plain | jq -r .uuid)/domain.xml"
	ok "a vault of type $type gets its QEMU" ctl vault bundle plain
	use "$host"
	ok "this host's has no such machine, its own runs it" shows plain \
		'.emulator.of == "vault" and (.emulator.why | contains("no machine"))'
	ok "it is probed" probe plain plain.own
	ok "and starts" ctl vault start plain
	ctl vault stop plain --force >/dev/null
	ctl vault bundle plain --remove --yes >/dev/null
	ok "without it the start is refused" is_refused "no machine type $type" \
		ctl vault start plain
	gone()
	{
		ctl --json doctor >"$work/doctor"
		jq -e '.checks[] | select(.vault == "plain").status == "failed"' \
			"$work/doctor"
	}
	ok "and doctor calls that a failure" gone
else
	skip "a machine type of its own" "both QEMUs have the same"
fi
finish
