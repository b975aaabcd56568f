# Moving house: a vault is activated, sealed and exported; then its host is
# gone with all that it had. Another one, with other folders and another name,
# takes the bundle: the player, bound to its machine, still plays. In a new
# vault with a naive copy of the disk it refuses, and says why.
. "$SRCDIR/tests/scenario/lib.sh"
. "$SRCDIR/tests/scenario/lib_keep.sh"

plays()
{
	wait_for 90 serial_says "$1" 'PLAYER playing'
}
identity()
{
	ctl --json vault show keep | jq -r ".identity.$1"
}

guest_build || bail "the guest could not be built"
host first
daemon_start || bail "the daemon did not start"
ok "a vault is made" vault_create keep || finish
ok "its guest is activated" \
	eval "ctl vault start keep && wait_for 90 serial_says keep activated"
ok "and plays" plays keep
ctl vault stop --force keep >/dev/null
ok "it is sealed" ctl vault seal keep || finish
digest=$(identity digest)
cp "$(folder_of keep)/domain.xml" "$work/domain.xml"
echo variables >"$(folder_of keep)/nvram/test"
picture "$(folder_of keep)" >"$work/before"
qemu-img convert -O qcow2 "$(active_layer "$(folder_of keep)")" \
	"$work/naive.qcow2"
ok "it is exported to move" \
	ctl vault export keep "$work/keep.mvault" --move --yes
ok "its host is gone" host_gone first

# Another place: longer paths, another name, nothing known of the vault.
host second
state=$work/second/a/place/of/state
mkdir -p "${state%/*}"
daemon_start || bail "the new host's daemon did not start"
is_another_host()
{
	! ctl vault show keep && [ ! -e "$work/first" ] &&
		{ [ -z "$on_host" ] || [ "$($on_host hostname)" = second ]; }
}
ok "it is another host" is_another_host
ok "the bundle is imported" ctl vault import "$work/keep.mvault" || finish
same()
{
	picture "$(folder_of keep)" | diff "$work/before" -
}
ok "disk, variables and definition are as they were" same
ok "the machine is the same, seen from inside" ctl vault verify keep
ok "its digest too" [ "$(identity digest)" = "$digest" ]
ok "digests of the disk agree" ctl vault verify keep --deep
cp "$work/naive.qcow2" "$work/lesson.qcow2"
ok "a new vault gets a copy of the disk" \
	eval "lesson=$work/lesson.qcow2 vault_create naive"
ctl vault start naive >/dev/null
ok "the vault starts" ctl vault start keep
ok "its player plays" plays keep
licensed()
{
	serial keep | grep -a '^PLAYER'
	serial_says keep 'PLAYER licensed' && ! serial_says keep refused &&
		! serial_says keep activated
}
ok "with the licence that it had" licensed
refuses()
{
	wait_for 60 serial_says naive 'PLAYER refused' || return 1
	serial naive | grep -a '^PLAYER'
	! serial_says naive playing &&
		for field in system-uuid disk-serial mac; do
			serial_says naive "refused field=$field " || return 1
		done
}
ok "the copy's refuses, and names fields" refuses
sed -n 's/^PLAYER refused field/# &/p' "$work/ok.out" | sort -u
finish
