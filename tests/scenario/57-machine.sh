# A vault brings its QEMU along: made, verified, used where the host has none,
# refused when it was changed or came from elsewhere; doctor says until when
# the host's will do.
. "$SRCDIR/tests/scenario/lib.sh"

emulator=$(command -v qemu-system-x86_64)
registry=$work/registry

# use EMULATOR: the daemon, from now on with this QEMU as the host's.
use()
{
	[ -z "$daemon_pid" ] || daemon_stop
	daemon_config "[daemon]" "registry = $registry" \
		"[libvirt]" "emulator = $1"
	daemon_start
}

folder()
{
	echo "$state/vaults/$(ctl --json vault show one | jq -r .uuid)"
}

# says VALUE EXPRESSION: of vault show.
says()
{
	said=$(ctl --json vault show one | jq -r "$2")
	echo "$2 is $said"
	[ "$said" = "$1" ]
}

digest()
{
	ctl --json vault identity one | jq -r .digest
}

# runs_by FOLDER: its QEMU's files are all from there.
runs_by()
{
	grep -o '/.*' "/proc/$(guest_pid one)/maps" | grep '\.so\|qemu-system' |
		grep -v "^$1/" >"$work/foreign"
	cat "$work/foreign"
	[ ! -s "$work/foreign" ]
}

guest_build || bail "the guest could not be built"
use "$emulator" || bail "the daemon did not start"
vault_create one >/dev/null || bail "no vault"

until_2028()
{
	ctl --json doctor | jq -e '.checks[] | select(.name == "machine") |
		.vault == "one" and .machine == "pc-q35-7.2" and
		.until == "2028-12" and (.text | contains("QEMU 13.2"))'
}
ok "doctor says until when its machine type will be there" until_2028
ok "it runs by the host's QEMU" says host .emulator.of
before=$(digest)

ok "its QEMU is put into the vault" ctl vault bundle one
ok "shown with version and size" says true \
	'(.emulator.own.bytes > 3e7) and (.emulator.own.trusted) and
	(.emulator.own.qemu | test("^[0-9]+[.]"))'
ok "and still the host's runs it" says host .emulator.of
ok "a second one is refused" is_refused 'vault bundle --remove' \
	ctl vault bundle one
left()
{
	find "$(folder)" -maxdepth 1 -name 'machine.*' | grep .
}
nothing_left()
{
	! left
}
ok "nothing of the making is left" nothing_left

ok "the policy has it used" ctl vault policy one machine=own
ok "and vault show says so" says vault .emulator.of
same_identity()
{
	now=$(digest)
	echo "$before, now $now"
	[ -n "$before" ] && [ "$before" = "$now" ]
}
ok "its identity is that under the host's" same_identity
ctl vault policy one machine=auto >/dev/null

# The host's QEMU is gone.
ok "a daemon without QEMU" use /nonexistent/qemu-system-x86_64
ok "the vault's own it is, then" says vault .emulator.of
ok "doctor does not call that a failure" sh -c '
	"$0" --socket "$1" --json doctor | jq -e ".checks[] |
		select(.name == \"machine\").status == \"warning\""' \
	"$BUILDDIR/mediavmctl" "$run/api.sock"
ok "it starts" ctl vault start one
ok "by nothing but its own files" runs_by "$(folder)/machine"
ok "while it runs that stays" is_refused 'it runs' ctl vault bundle one --remove
ok "and the player plays" \
	wait_for 60 serial_says one '^PLAYER \(activated\|playing\)'
ctl vault stop one --force >/dev/null

# Changed, strange, gone.
machine=$(folder)/machine
cp "$machine/run" "$work/run.kept"
echo 'exit 0' >>"$machine/run"
ok "a changed program does not run" is_refused 'run is not as it was made' \
	ctl vault start one
cp "$work/run.kept" "$machine/run"
touch "$machine/lib/libintruder.so"
ok "nor one with another beside it" \
	is_refused 'libintruder.so does not belong to it' ctl vault start one
rm "$machine/lib/libintruder.so"

# Another host, without a QEMU, gets it in a bundle: programs from elsewhere.
ok "it moves to another host" ctl vault export one "$work/one.mvault" \
	--move --yes
daemon_stop
state=$work/state2
run=$work/run2
registry=$work/registry2
use /nonexistent/qemu-system-x86_64
ok "which takes it in" ctl vault import "$work/one.mvault"
machine=$(folder)/machine
ok "one from elsewhere is not trusted" says false .emulator.own.trusted
ok "and does not run before the owner agrees" is_refused 'bundle --trust' \
	ctl vault start one
ok "nor as a probe" is_refused 'bundle --trust' ctl vault identity one
ok "the owner agrees" ctl vault bundle one --trust
ok "that is in the audit log" sh -c '"$0" --socket "$1" --json events \
	--type machine.trusted | jq -e "length == 1 and .[0].vault == \"one\""' \
	"$BUILDDIR/mediavmctl" "$run/api.sock"
ok "then it runs" same_identity

# A crash while it was made or taken away.
mkdir "$(folder)/machine.next"
cp -r "$machine" "$(folder)/machine.old"
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
daemon_start
ok "what a crash left is taken away" nothing_left
ok "and what counts stays" says true .emulator.own.trusted

ok "it is taken away" ctl vault bundle one --remove --yes
gone()
{
	[ ! -e "$machine" ] && nothing_left && says none .emulator.of
}
ok "for good" gone
not_fit()
{
	! ctl doctor >"$work/out" 2>"$work/err" && grep 'not fit' "$work/err"
}
ok "without any QEMU, doctor says so" not_fit
ok "and making one is refused" is_refused 'no QEMU\|does not answer' \
	ctl vault bundle one
finish
