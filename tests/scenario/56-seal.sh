# The seal: activate, seal, play; what was sealed comes back byte for byte;
# what differs stops the start and is named, old and new; damage is named; a
# crash leaves the vault sealed or as it was. The player, bound to its machine,
# is the judge.
. "$SRCDIR/tests/scenario/lib.sh"

plays()
{
	ctl vault start keep && wait_for 60 serial_says keep 'PLAYER playing'
}
stop()
{
	ctl vault stop --force keep
}
# is_refused PATTERN COMMAND...: with one line that has it.
# identity EXPRESSION: of vault show.
identity()
{
	ctl --json vault show keep | jq -e ".identity | $1"
}
# starts: and is ended at once.
starts()
{
	ctl vault start keep && stop
}
checks()
{
	ctl --json events | jq -s '[.[] | if type == "array" then .[] else . end |
		select(.type == "vault.checked")] | length'
}

guest_build || bail "the guest could not be built"
daemon_start || bail "the daemon did not start"
ok "a vault is created" vault_create keep || finish
vault=$state/vaults/$(ctl --json vault show keep | jq -r .uuid)
ok "it is not sealed" identity '.sealed == false and .digest == null'
ok "there is nothing to verify" is_refused 'not sealed' ctl vault verify keep
ok "the guest plays" plays || finish
ok "it was activated" serial_says keep 'PLAYER activated'
ok "a running vault is not sealed" is_refused 'stop it' ctl vault seal keep
stop >/dev/null

ok "it is sealed" ctl vault seal keep || finish
sed 's/^/# /' "$work/ok.out"
is_whole()
{
	ls "$vault" "$vault/seal"
	(cd "$vault/seal" && test -s acpi_tables -a -s rsdp -a -s loader \
		-a -s smbios-004-0400.bin) &&
		cmp "$vault/domain.xml" "$vault/seal/domain.xml" &&
		[ ! -e "$vault/seal.next" ] &&
		ctl --json vault snapshot keep list |
		jq -e '.[] | select(.name == "sealed")'
}
ok "the seal is whole" is_whole
has_digests()
{
	jq -e '.disks | length == 1 and (.[0].sha256 | length) == 64' \
		"$vault/seal/fingerprint.json" && ls "$vault/digests"/*.tree
}
ok "with the digests of the disk" has_digests
ok "features are written out" grep -q 'name="sse4.2"' "$vault/domain.xml"
ok "it shows" identity '.sealed and (.digest | length) == 64 and
	.checked_at != null and .drift == [] and .epoch == 1'
ok "not by accident again" is_refused 'again' ctl vault seal keep
ok "it plays as before" plays
ok "with the licence it had" serial_says keep 'PLAYER licensed'
stop >/dev/null
ok "on the same host no start looks again" test "$(checks)" = 0
ok "its identity is verified" ctl vault verify keep
ok "somebody begins that and leaves" ctl vault verify keep --no-wait
ok "who gives the same command gets the end of it" ctl vault verify keep
both()
{
	ctl vault verify keep --deep | grep 'and its identity'
}
ok "and its disk" both
# A frozen block changes, and its digests are lost as well.
flip()
{
	flip_place=$(qemu-img map -U --output=json "$vault/disks/disk.qcow2" |
		jq '[.[] | select(.data)] | max_by(.length) | .offset')
	flip_byte=$(od -A n -t u1 -j "$flip_place" -N 1 \
		"$vault/disks/disk.qcow2")
	printf "$(printf '\\%03o' $((flip_byte ^ 1)))" | dd status=none \
		conv=notrunc bs=1 seek="$flip_place" \
		of="$vault/disks/disk.qcow2"
	rm "$vault/digests"/*.tree
}
flip
ok "the seal remembers its disk, when digests are made anew" is_refused \
	'disks/disk.qcow2 is not what was sealed' ctl vault verify keep --deep
flip
ok "it is again" ctl vault verify keep --deep
same()
{
	ctl vault identity keep --diff | tee "$work/diff"
	! grep -v '^masked' "$work/diff"
}
ok "nothing differs" same

# A definition that is another machine.
good=$work/good.xml
cp "$vault/domain.xml" "$good"
# edit SED: the definition, from the sealed one.
edit()
{
	sed "$1" "$good" >"$vault/domain.xml"
	! cmp -s "$good" "$vault/domain.xml"
}
ok "another brand of processor" edit 's/model-id=[^"]*/model-id=Other CPU/'
ok "stops the start, named with old and new" is_refused \
	'cpu.brand was "Intel.*", is "Other CPU".*seal/domain.xml' \
	ctl vault start keep
ok "it shows" identity '.drift[] | select(.name == "cpu.brand") |
	.class == "sealed" and .new == "Other CPU" and (.old | startswith("Intel"))'
diff_names()
{
	ctl vault identity keep --diff | grep '^sealed  cpu.brand = Other CPU, was Intel'
}
ok "and so does a diff" diff_names
is_logged()
{
	ctl --json events | grep '"vault.checked"' | grep -q cpu.brand
}
ok "and the log" is_logged
ok "another disk" edit "s|<serial>.*</serial>|<serial>OTHER</serial>|"
ok "stops the start" is_refused 'serial was "MV.*", is "OTHER"' \
	ctl vault start keep
ok "a fw_cfg file that says nothing of the machine" edit \
	's|</qemu:commandline>|<qemu:arg value="-fw_cfg"/><qemu:arg value="name=opt/x,string=y"/>&|'
ok "does not stop it" starts
ok "nor is it noted" identity '.drift == [] and .noted == []'
# The same bytes in another order, for the sake of their sum.
sed 's/SeaBIOS/aeSBIOS/' /usr/share/seabios/vgabios-qxl.bin >"$work/vga.bin"
ok "another program of the graphics card" edit \
	"s|</qemu:commandline>|<qemu:arg value='-global'/><qemu:arg value='qxl-vga.romfile=$work/vga.bin'/>&|"
ok "does not stop it either" starts
ok "but is noted" identity '.drift == [] and (.noted |
	length > 0 and all(.class == "notice" and (.name | startswith("rom.c"))))'
cp "$good" "$vault/domain.xml"

# Damage.
# damage FILE SENTENCE
damage()
{
	mv "$vault/$1" "$work/kept"
	[ "$2" = missing ] || { cat "$work/kept"; echo; } >"$vault/$1"
	is_refused "$1.*$2" ctl vault start keep
	damage_result=$?
	mv "$work/kept" "$vault/$1"
	return $damage_result
}
ok "a changed table is named" damage seal/acpi_tables 'not as it was sealed'
ok "a changed firmware" damage fw/bios-256k.bin 'not as it was sealed'
ok "a missing structure" damage seal/smbios-017-1100.bin missing
ok "a missing fingerprint" damage seal/fingerprint.json missing
falsify()
{
	cp "$vault/seal/fingerprint.json" "$work/kept"
	sed 's/"value": "mediavm"/"value": "other"/' "$work/kept" \
		>"$vault/seal/fingerprint.json"
	is_refused 'fingerprint.json is damaged' ctl vault start keep
	falsify_result=$?
	cp "$work/kept" "$vault/seal/fingerprint.json"
	return $falsify_result
}
stray()
{
	: >"$vault/seal/stray"
	is_refused 'seal/stray was not there.*remove it' ctl vault start keep
	stray_result=$?
	rm "$vault/seal/stray"
	return $stray_result
}
ok "a file that is too many is to be removed" stray
ok "a fingerprint that was changed" falsify
# One that is good, but another's.
another()
{
	jq '.uuid = "00000000-0000-4000-8000-000000000000"' "$work/kept" \
		>"$work/other"
	sum=$(jq -cjS 'del(.sum, .check)' "$work/other" | sha256sum)
	jq --arg sum "${sum%% *}" '.sum = $sum' "$work/other" \
		>"$vault/seal/fingerprint.json"
	is_refused 'seal is that of another vault' ctl vault start keep
	another_result=$?
	cp "$work/kept" "$vault/seal/fingerprint.json"
	return $another_result
}
ok "a seal of another vault" another
comes_back()
{
	rm "$vault/domain.xml"
	starts && cmp "$vault/domain.xml" "$good"
}
ok "a definition that is gone comes back from the seal" comes_back

# What a killed daemon leaves: before the rename that decides, and after it.
daemon_stop
unseal()
{
	mv "$vault/seal" "$vault/seal.next"
	rm "$vault/fingerprint.json"
	daemon_start && identity '.sealed == false' &&
		[ ! -e "$vault/seal.next" ] &&
		ctl --json vault snapshot keep list | jq -e 'length == 0'
}
cp -r "$vault/seal" "$work/seal"
cp "$vault/fingerprint.json" "$work"
ok "a seal that was not finished is undone, with its snapshot" unseal
daemon_stop
cp -r "$work/seal" "$vault/seal"
sed 's/Vault board/Former board/' "$good" >"$vault/domain.xml"
finish_it()
{
	daemon_start && identity '.sealed' &&
		cmp "$vault/domain.xml" "$good" &&
		jq -S 'del(.check)' "$vault/fingerprint.json" >"$work/is" &&
		jq -S 'del(.check)' "$work/fingerprint.json" | cmp "$work/is"
}
ok "one that was decided is finished" finish_it

# Another QEMU: one with an option of its own, and one that is the same.
cat >"$work/qemu" <<-'END'
#!/bin/sh
exec /usr/bin/qemu-system-x86_64 "$@" $(cat "$0.options")
END
chmod 755 "$work/qemu"
: >"$work/qemu.options"
daemon_stop
daemon_config "[daemon]" "[libvirt]" "emulator = $work/qemu"
daemon_start || bail "the daemon did not start with another QEMU"
before=$(checks)
ok "another QEMU that makes the same machine may start it" starts
ok "after a look at it" test "$(checks)" = $((before + 1))
echo '-smbios type=3,serial=OTHER' >"$work/qemu.options"
touch "$work/qemu"
ok "one that makes another may not" is_refused \
	'smbios.3.*OTHER.*QEMU' ctl vault start keep
: >"$work/qemu.options"
ok "that mended, it starts" starts

# On purpose: another epoch, and the former seal is kept.
edit 's/<entry name="location">board/<entry name="location">elsewhere/'
ok "another board stops the start" is_refused 'location was "board", is "else' \
	ctl vault start keep
ok "and can be sealed on purpose" ctl vault seal keep --again --yes
sed 's/^/# /' "$work/ok.out"
second()
{
	identity '.epoch == 2 and .snapshot == "sealed" and .drift == []' &&
		jq -e '.changed[] | select(.name == "smbios.2.location")' \
			"$vault/fingerprint.json" &&
		cmp "$vault/seals/1/domain.xml" "$good" &&
		diff -r "$vault/seals/1" "$work/seal"
}
ok "that is another epoch, and the former seal is kept" second
daemon_stop
mv "$vault/seal" "$vault/seal.next"
resealed()
{
	daemon_start && identity '.epoch == 2' && starts
}
ok "killed between the two, it is sealed anew, and starts" resealed

# A seal that is lost altogether: the vault is not taken for an unsealed one.
lost()
{
	mv "$vault/seal" "$work/lost"
	is_refused 'seal/fingerprint.json is missing' ctl vault start keep &&
		ctl vault seal keep --again --yes && identity '.epoch == 3' &&
		[ -d "$vault/seals/1" ] && starts
}
ok "without its seal it does not start, and is sealed anew" lost

# With UEFI, Secure Boot and a TPM; takes its time.
uefi()
{
	ctl vault create uefi --memory 512M --firmware uefi --tpm --os win10 \
		--disk-size 1G && ctl vault start uefi || return 1
	uefi_folder=$state/vaults/$(ctl --json vault show uefi | jq -r .uuid)
	wait_for 30 test -s "$uefi_folder/tpm/tpm2/tpm2-00.permall"
	ctl vault stop uefi --force && ctl vault seal uefi &&
		[ -s "$uefi_folder/seal/tpm_log" ] && ctl vault verify uefi &&
		ctl vault start uefi && ctl vault stop uefi --force
}
[ -z "${TORTURE:-}" ] || ok "a vault with UEFI and a TPM is sealed" uefi
finish
