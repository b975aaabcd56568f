# Random cycles of snapshot, revert, deletion, backup, move to another host,
# start and stop: not one byte of the vault's fingerprint, definition and seal
# changes, each state comes back as it was, digests agree, and at the end the
# player, bound to its machine, plays.
#
# What a state is, is a number: written to the end of the disk, where the
# player has nothing, and beside the firmware's variables.
. "$SRCDIR/tests/scenario/lib.sh"
. "$SRCDIR/tests/scenario/lib_keep.sh"

rounds=${ROUNDS:-6}
echo "# SEED=$seed ROUNDS=$rounds"
place=60M

runs()
{
	[ "$(ctl --json vault show keep | jq -r .state)" = running ]
}
stopped()
{
	! runs || ctl vault stop --force keep
}
names()
{
	ctl --json vault snapshot keep list | jq -r '.[].name' |
		grep -v '^sealed$'
}

# has_number LAYER NUMBER
has_number()
{
	! qemu-io -r -U -f qcow2 -c "read -P $(($2 % 256)) $place 64k" "$1" |
		tee "$work/qemu-io" | grep -q failed ||
		{
			cat "$work/qemu-io"
			return 1
		}
}

# The number of each snapshot is a file of $work/numbers; the vault's is
# $number.
numbers_are_right()
{
	has_number "$(active_layer "$vault")" "$number" &&
		[ "$(cat "$vault/nvram/number")" = "$number" ] || return 1
	jq -r '.snapshots[] | "\(.name) \(.layers[0])"' \
		"$vault/disks/layers.json" >"$work/held"
	[ "$(wc -l <"$work/held")" = "$(ls "$work/numbers" | wc -l)" ] ||
		return 1
	while read -r name layer; do
		held=$(cat "$work/numbers/$name") &&
			has_number "$vault/disks/$layer" "$held" &&
			[ "$(cat "$vault/snapshots/$name/nvram/number")" = \
				"$held" ] || return 1
	done <"$work/held"
}

# Every byte of what makes the machine; of the fingerprint all but `check`,
# which says when it was last compared and on which host.
machine()
{
	(cd "$vault" && sha256sum domain.xml && find seal fw -type f |
		LC_ALL=C sort | xargs sha256sum &&
		jq -S 'del(.check)' fingerprint.json | sha256sum)
	ctl --json vault show keep | jq -r \
		'.uuid, .identity.digest, .identity.drift, .lease.identity'
}
same_machine()
{
	machine >"$work/machine.now"
	diff "$work/machine" "$work/machine.now"
}

# --- steps -------------------------------------------------------------------

# Something new, as a guest would write it: a frozen layer is not touched.
do_write()
{
	stopped && number=$((number + 1)) &&
		qemu-io -f qcow2 -c "write -P $((number % 256)) $place 64k" \
			"$(active_layer "$vault")" &&
		echo "$number" >"$vault/nvram/number"
}
do_snapshot()
{
	ctl vault snapshot keep create "s$round" &&
		echo "$number" >"$work/numbers/s$round"
}
do_revert()
{
	one_of $(names)
	[ -n "$one" ] || return 0
	stopped && ctl --json vault snapshot keep revert "$one" \
		>"$work/reverted" || return 1
	echo "$number" >"$work/numbers/$(jq -r .kept "$work/reverted")"
	number=$(cat "$work/numbers/$one")
}
do_delete()
{
	one_of $(names)
	[ -n "$one" ] || return 0
	ctl vault snapshot keep delete "$one" --yes &&
		rm "$work/numbers/$one"
}
do_start()
{
	runs || ctl vault start keep
}
do_stop()
{
	stopped
}
# A backup, also while it runs; on the other host it is a copy.
do_backup()
{
	ctl vault export keep "$work/backup.mvault" || return 1
	here=$host
	to_other_host
	ctl vault import "$work/backup.mvault" &&
		! ctl vault start keep && ctl vault delete keep --yes
	done=$?
	host "$here"
	rm "$work/backup.mvault"
	return $done
}
do_move()
{
	stopped && ctl vault export keep "$work/move.mvault" --move --yes &&
		! ctl vault start keep && ctl vault delete keep --yes || return 1
	to_other_host
	ctl vault import "$work/move.mvault" && rm "$work/move.mvault" &&
		vault=$(folder_of keep)
}
to_other_host()
{
	if [ "$host" = first ]; then
		host second
	else
		host first
	fi
}

# A number of snapshots that stays the same, in the long run.
choose()
{
	if [ "$(names | wc -l)" -gt 6 ]; then
		one_of delete
	else
		one_of write write snapshot snapshot revert delete start start \
			stop backup move move
	fi
	step=$one
}
cycle()
{
	"do_$step" && same_machine || return 1
	[ $((round % 10)) != 0 ] || all_is_right
}
all_is_right()
{
	stopped && numbers_are_right && images_are_good "$vault" &&
		files_are_known "$vault" && ctl vault verify keep &&
		digests_agree keep
}

guest_build || bail "the guest could not be built"
host second
daemon_start || bail "the second daemon did not start"
host first
daemon_start || bail "the daemon did not start"
ok "a vault is made" vault_create keep || finish
vault=$(folder_of keep)
number=0
mkdir "$work/numbers"
ok "its guest is activated" \
	eval "ctl vault start keep && wait_for 90 serial_says keep activated" ||
	finish
do_write >"$work/write" || bail "$(cat "$work/write")"
ok "it is sealed" ctl vault seal keep || finish
echo "$number" >"$work/numbers/sealed"
machine >"$work/machine"

round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	choose
	echo "$step" >>"$work/steps"
	cycle >"$work/cycle" 2>&1 && continue
	ok "cycle $round, $step on $host" sh -c "cat '$work/cycle'; false"
	finish
done
sort "$work/steps" | uniq -c | sed 's/^/# /'
ok "after $rounds cycles the machine is the same, and each state is right" \
	all_is_right
ok "it is started" ctl vault start keep
ok "the player plays" wait_for 90 serial_says keep 'PLAYER playing'
ok "with the licence of the beginning" serial_says keep 'PLAYER licensed'
finish
