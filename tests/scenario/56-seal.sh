# The seal: activate, seal, play; what was sealed comes back byte for byte, what
# differs stops the start with its name, old and new; a crash in the middle
# leaves the vault sealed or as it was. The player, bound to its machine, is
# the judge.
. "$SRCDIR/tests/scenario/lib.sh"

plays()
{
	ctl vault start keep && wait_for 60 serial_says keep 'PLAYER playing'
}
stop()
{
	ctl vault stop --force keep
}
is_refused()
{
	refusal=$1
	shift
	! "$@" >"$work/refused" 2>&1 && cat "$work/refused" &&
		[ "$(wc -l <"$work/refused")" = 1 ] &&
		grep -q "$refusal" "$work/refused"
}
# identity EXPRESSION: of vault show.
identity()
{
	ctl --json vault show keep | jq -e ".identity | $1"
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
ok "features are written out" grep -q 'name="sse4.2"' "$vault/domain.xml"
ok "it shows" identity \
	'.sealed and (.digest | length) == 64 and .checked_at != null and .drift == []'
ok "it plays as before" plays
ok "with the licence it had" serial_says keep 'PLAYER licensed'
stop >/dev/null
finish
