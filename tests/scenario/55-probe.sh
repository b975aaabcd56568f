# The identity probe: what it reads of a BIOS and of a UEFI vault with a TPM, and
# of a machine from elsewhere, is the same each time and what was asked for, and
# what a Linux guest sees; the licensed disk is not touched, nothing stays
# behind, and a killed QEMU is told.
. "$SRCDIR/tests/scenario/lib.sh"

# probe NAME OUTPUT: with its times.
probe()
{
	ctl --json vault identity "$1" >"$work/$2" || return 1
	jq -r '"# '"$1"': QEMU after \(.start_ms) ms, report after \(
		.report_ms) ms, gone after \(.total_ms) ms, \(.fields | length) fields"' "$work/$2"
}

# field FILE NAME: its value.
field()
{
	jq -r --arg n "$2" '.fields[] | select(.name == $n).value' "$work/$1"
}

# differences FILE FILE CLASS...: lines of fields of these classes.
differs()
{
	jq -r '.fields[] | "\(.class) \(.name)=\(.value)"' "$work/$1" |
		grep -v "^masked" >"$work/before"
	jq -r '.fields[] | "\(.class) \(.name)=\(.value)"' "$work/$2" |
		grep -v "^masked" >"$work/after"
	diff "$work/before" "$work/after"
}

# agrees VAULT FILE: what Linux told (tests/guest/inspect) are fields' values.
agrees()
{
	serial "$1" | tr -d '\r' | sed -n 's/.*FACT \(.*=.*\)/\1/p' \
		>"$work/facts"
	jq -r '.fields[] | "\(.name)=\(.value)"' "$work/$2" |
		sed 's/^usb\.[^=]*port[0-9]*\./usb./
			s/^\(cpu[0-9]*\.\)\{0,1\}cpuid\.00000001\.ebx=\(..\).*/processor=\2/' \
			>"$work/fields"
	! grep -vxF -f "$work/fields" "$work/facts" &&
		[ "$(grep -c ^processor= "$work/facts")" = \
			"$(grep -c ^processor= "$work/fields")" ] &&
		[ "$(wc -l <"$work/facts")" -gt 60 ]
}

# inspected VAULT FILE: it starts and finds the hardware as the probe did.
inspected()
{
	ctl vault start "$1" && wait_for 120 serial_says "$1" '^FACT end' &&
		agrees "$1" "$2"
	inspected_status=$?
	ctl vault stop "$1" --force
	return $inspected_status
}

# untouched NAME: nothing of the probe is there, the disk is as it was.
folder_of()
{
	echo "$state/vaults/$(ctl --json vault show "$1" | jq -r .uuid)"
}
stamp()
{
	find "$(folder_of "$1")" -type f \
		-exec stat -c '%n %s %Y %Z %i' {} + | sort
	find "$(folder_of "$1")/disks" -type f -exec sha256sum {} +
}
same_stamp()
{
	stamp "$1" >"$work/stamp"
	diff "$work/$1.stamp" "$work/stamp"
}
no_probe_left()
{
	! pgrep -f "qemu-system.*$work/.*/probe/" &&
		! pgrep -f "swtpm.*$work" &&
		[ -z "$(find "$state" -name probe)" ] &&
		[ "$(find "$state" -path '*lib/swtpm/*' | wc -l)" -le 1 ]
}

refused()
{
	ctl vault identity "$1" >"$work/out" 2>"$work/err" && return 1
	cat "$work/out" "$work/err"
	[ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" = 1 ] &&
		grep -q "$2" "$work/err"
}

guest_build || bail "the guest could not be built"
daemon_start || bail "the daemon did not start"
cp "$lesson" "$work/disk.qcow2"
# inspect_create NAME KERNEL OPTION...: a vault that tells what it sees.
inspect_create()
{
	inspect_name=$1
	inspect_kernel=$2
	shift 2
	ctl vault create "$inspect_name" --memory 512M \
		--disk "$work/disk.qcow2" --kernel "$guest/$inspect_kernel" \
		--initrd "$guest/inspect.img" \
		--cmdline "$cmdline rdinit=/inspect" "$@"
}
inspect_create bios vmlinuz --cpus 3 --heads 2 --os win10 >/dev/null ||
	bail "no vault"
inspect_create uefi bzimage --cpus 2 --firmware uefi --tpm >/dev/null ||
	bail "no UEFI vault"

# A BIOS vault, as for Windows 10.
stamp bios >"$work/bios.stamp"
ok "a BIOS vault is probed" probe bios bios1 && cat "$work/ok.out"
ok "again" probe bios bios2 && cat "$work/ok.out"
ok "no field differs" differs bios1 bios2
ok "the disk is not touched" same_stamp bios
ok "nothing is left behind" no_probe_left

after_snapshot()
{
	ctl vault snapshot bios create one && probe bios bios3 &&
		differs bios1 bios3
}
ok "a snapshot changes nothing" after_snapshot
ok "its report can be had as it came" ctl vault identity bios --raw "$work/raw"
ok "with what a seal needs" grep -qa RSDT "$work/raw"

# A Linux guest in it, and refusals while it runs.
ctl vault start bios >/dev/null
ok "a running vault is not probed" refused bios 'it runs; stop it'
ok "a guest says what it sees" wait_for 120 serial_says bios '^FACT end'
ok "it sees what the probe saw" agrees bios bios1
ctl vault stop bios --force >/dev/null

# A machine that was made elsewhere: one disk behind each controller, four
# processors, a display that describes a monitor.
disk_xml()
{
	truncate -s "$1"M "$work/$2.raw"
	cat <<-END
	<disk type='file' device='disk'><driver name='qemu' type='raw'/>
	<source file='$work/$2.raw'/><target dev='$2' bus='$3'/>
	<serial>SERIAL-$2</serial>$4</disk>
	END
}
cat >"$work/elsewhere.xml" <<END
<domain type='qemu'>
<name>elsewhere</name>
<uuid>8a6f1f0e-0000-4000-8000-0123456789ab</uuid>
<memory unit='MiB'>256</memory><vcpu>4</vcpu>
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
<features><acpi/><apic/></features>
<cpu mode='custom' match='exact'><model>EPYC</model></cpu>
<clock offset='variable' adjustment='-12600' basis='utc'/>
<devices>
<emulator>/usr/bin/qemu-system-x86_64</emulator>
$(disk_xml 10 sda scsi '<vendor>ACME</vendor><product>Rocket disk</product>')
$(disk_xml 20 vda virtio '')
$(disk_xml 30 sdb sata '')
$(disk_xml 40 sdc usb '')
<controller type='scsi' index='0' model='virtio-scsi'/>
<controller type='usb' index='0' model='qemu-xhci'/>
<interface type='user'><mac address='52:54:00:aa:bb:cc'/>
<model type='virtio'/></interface>
<input type='tablet' bus='usb'/>
<video><model type='vga' vram='16384'/></video>
<memballoon model='none'/>
</devices>
</domain>
END
# is FILE NAME VALUE: of the one field whose name is of this pattern.
is()
{
	is_value=$(jq -r --arg n "$2" '.fields[] |
		select(.name | test("^" + $n + "$")).value' "$work/$1")
	echo "$2: \"$is_value\", not \"$3\""
	[ "$is_value" = "$3" ]
}
sees_devices()
{
	is elsewhere1 'scsi.*[.]serial' SERIAL-sda &&
		is elsewhere1 'scsi.*[.]vendor' ACME &&
		is elsewhere1 'scsi.*[.]product' 'Rocket disk' &&
		is elsewhere1 'scsi.*[.]sectors' '20480 of 512 bytes' &&
		is elsewhere1 'virtio.*[.]serial' SERIAL-vda &&
		is elsewhere1 'virtio.*[.]sectors' 40960 &&
		is elsewhere1 'disk.0.serial' SERIAL-sdb &&
		is elsewhere1 'disk.0.sectors' 61440 &&
		is elsewhere1 'usb.*[.]serial' 'SERIAL-sdc
28754-0000:00:02.2:00.0-2' &&
		is elsewhere1 'usb.*[.]id' '46f4:0001
0627:0001' &&
		is elsewhere1 'edid.*[.]maker' RHT-1234 &&
		is elsewhere1 'nic.0.mac' 52:54:00:aa:bb:cc &&
		is elsewhere1 'rtc.offset' -03:30
}
sees_processors()
{
	is elsewhere1 'cpuid.00000001.ebx' 00000800 &&
		is elsewhere1 'cpu[0-9].cpuid.00000001.ebx' '01000800
02000800
03000800' && is elsewhere1 'cpu[0-9].msr.0000008b' ''
}
ok "a machine from elsewhere is adopted" \
	ctl vault adopt "$work/elsewhere.xml" --name elsewhere
ok "it is probed" probe elsewhere elsewhere1 && cat "$work/ok.out"
ok "disks behind any controller, USB devices and display are seen" sees_devices
ok "so is every processor" sees_processors
ok "again" probe elsewhere elsewhere2
ok "no field differs" differs elsewhere1 elsewhere2

# Old Windows has its tablet behind EHCI and UHCI.
old_usb()
{
	ctl vault create old --os win7 --memory 256M --disk-size 10M &&
		probe old old1 && is old1 'usb.*[.]serial' 1 &&
		is old1 'usb.*[.]product' 'QEMU USB Tablet'
}
ok "USB devices of old controllers are seen" old_usb

# A UEFI vault, whose TPM comes into being with the first probe and stays.
tpm_state()
{
	sha256sum "$(folder_of uefi)/tpm/tpm2/tpm2-00.permall"
}
ok "a UEFI vault that never ran is probed" probe uefi uefi1 &&
	cat "$work/ok.out"
ok "its new TPM is the vault's" tpm_state
stamp uefi >"$work/uefi.stamp"
ok "a UEFI vault is probed" probe uefi uefi2 && cat "$work/ok.out"
ok "no field differs" differs uefi1 uefi2
has_tpm()
{
	[ "$(field uefi1 tpm.ek | wc -c)" -gt 500 ] &&
		[ "$(field uefi1 tpm.pcr.sha256.00 | wc -c)" = 65 ] &&
		[ -n "$(field uefi1 uefi.vendor)" ]
}
ok "it has the TPM's key and PCRs, and the firmware's vendor" has_tpm
ok "disk, variables and TPM are not touched" same_stamp uefi
ok "nothing is left behind" no_probe_left

# With Secure Boot the firmware takes it for a Linux kernel.
secure_boot()
{
	inspect_create secure bzimage --firmware uefi --tpm --os win11 &&
		probe secure secure1 && probe secure secure2 &&
		differs secure1 secure2 &&
		[ -n "$(field secure1 uefi.variable.PK)" ]
}
if [ -n "${TORTURE:-}" ]; then
	ok "a vault for Windows 11 with Secure Boot is probed" secure_boot
	ok "a guest in it sees the same" inspected secure secure1
fi

# QEMU is killed while the firmware is at work.
ctl vault identity uefi >"$work/out" 2>"$work/err" &
killed=$!
wait_for 20 pgrep -f "qemu-system.*$work/.*/probe/"
wait_for 20 grep -q "<domstatus state='running'" \
	"$state"/libvirt/run/qemu/*.xml
kill -9 "$(pgrep -f "qemu-system.*$work/.*/probe/")"
told()
{
	wait $killed
	[ $? = 1 ] && cat "$work/err" && [ "$(wc -l <"$work/err")" = 1 ] &&
		grep -q 'QEMU ended during the probe' "$work/err"
}
ok "a killed QEMU is told" told
ok "nothing is left of that" no_probe_left

# The daemon is killed: the next one clears away.
ctl vault identity uefi >/dev/null 2>&1 &
wait_for 20 pgrep -f "qemu-system.*$work/.*/probe/"
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
ok "a killed daemon comes back" daemon_start
ok "and clears the probe away" no_probe_left
ok "the vault is whole" same_stamp uefi

# Without a TPM emulated firmware is hurried; Linux is not.
plain()
{
	inspect_create plain bzimage --firmware uefi && probe plain plain1
}
ok "a UEFI vault without a TPM is probed" plain && cat "$work/ok.out"
ok "a guest in it sees what the probe saw" inspected plain plain1
[ -z "${TORTURE:-}" ] ||
	ok "so does one beside a TPM" inspected uefi uefi1
finish
