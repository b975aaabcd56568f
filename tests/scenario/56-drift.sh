# A sealed vault whose definition or files were changed by hand: what no probe
# can see is named as well, and what says nothing of the machine starts; other
# disks, another TPM, other keys of Secure Boot are found on the same host.
. "$SRCDIR/tests/scenario/lib.sh"

# starts: and is ended at once.
starts()
{
	ctl vault start keep && ctl vault stop --force keep
}
checks()
{
	ctl --json events | jq -s '[.[] | if type == "array" then .[] else . end |
		select(.type == "vault.checked")] | length'
}
# no_look: a start that does not probe.
no_look()
{
	before=$(checks)
	starts && test "$(checks)" = "$before"
}
# edited SED: the definition, from the sealed one.
edited()
{
	sed "$1" "$good" >"$vault/domain.xml"
	! cmp -s "$good" "$vault/domain.xml"
}
# drifts SED PATTERN: that definition is refused.
drifts()
{
	edited "$1" && is_refused "identity differs: $2.*seal/domain.xml" \
		ctl vault start keep
}

daemon_start || bail "the daemon did not start"
qemu-img create -q -f qcow2 "$work/disk.qcow2" 64M
ok "a vault with a TPM, for Windows" ctl vault create keep --memory 64M \
	--cpus 1 --tpm --os win10 --disk "$work/disk.qcow2" || finish
vault=$state/vaults/$(ctl --json vault show keep | jq -r .uuid)
good=$work/good.xml
ok "is sealed" ctl vault seal keep || finish
cp "$vault/domain.xml" "$good"
ok "the first start looks at nothing" no_look
ok "nor does one after the guest has run" no_look
daemon_stop
daemon_start || bail "the daemon did not start again"
ok "nor one of another run of the daemon" no_look

ok "another clock is named" drifts 's/offset="localtime"/offset="utc"/' \
	'definition.clock.offset was "localtime", is "utc"'
shows()
{
	ctl --json vault show keep | jq -e '.identity.drift == [{
		name: "definition.clock.offset", class: "sealed",
		old: "localtime", new: "utc"}]'
}
ok "and shown" shows
ok "what libvirt refuses is named, too" drifts \
	'/e1000e/,/<\/interface>/s/bus="0x01"/bus="0x03"/' \
	'definition.devices.interface.address.bus was "0x01", is "0x03"'
ok "the host's side of it may be changed" edited \
	's|</name>|&<title>Course</title>|;s/writeback/none/'
ok "and starts" starts
cp "$good" "$vault/domain.xml"

# The files beside it.
active=$vault/disks/$(jq -r '.disks[0].active' "$vault/disks/layers.json")
ok "as sealed it starts" starts
cp "$active" "$work/active"
qemu-img resize -q "$active" 128M
ok "a disk of another size is found" is_refused \
	'disk.0.sectors was "131072", is "262144"' ctl vault start keep
cp "$work/active" "$active"
ok "that mended, it starts" starts
tpm=tpm/tpm2/tpm2-00.permall
mv "$vault/$tpm" "$work/tpm"
ok "a TPM that is gone is not made anew" is_refused \
	"$tpm is missing.*backup" ctl vault start keep
ctl vault create other --memory 64M --cpus 1 --tpm >/dev/null &&
	ctl --json vault identity other >/dev/null
cp "$state/vaults/$(ctl --json vault show other | jq -r .uuid)/$tpm" \
	"$vault/$tpm"
ok "another's is found" is_refused 'tpm[.].* was .*backup' \
	ctl vault start keep
cp "$work/tpm" "$vault/$tpm"
ok "with its own it starts" starts
ok "and the next time looks at nothing" no_look
ctl vault delete keep --yes >/dev/null

# Takes its time.
secure()
{
	ctl vault create keep --memory 512M --firmware uefi --secure-boot \
		--disk "$work/disk.qcow2" && ctl vault seal keep || return 1
	vault=$state/vaults/$(ctl --json vault show keep | jq -r .uuid)
	no_look && no_look || return 1
	cp "$vault/nvram/vars.fd" "$work/vars"
	cp /usr/share/OVMF/OVMF_VARS_4M.fd "$vault/nvram/vars.fd"
	is_refused 'uefi.variable.KEK was.*is absent' ctl vault start keep &&
		rm "$vault/nvram/vars.fd" &&
		is_refused 'vars.fd is missing' ctl vault start keep &&
		cp "$work/vars" "$vault/nvram/vars.fd" && starts && no_look
}
[ -z "${TORTURE:-}" ] || ok "keys of Secure Boot are looked after" secure
finish
