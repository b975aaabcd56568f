# A vault moves house: activated here, exported, imported on a state folder that
# knows nothing of it, where the player, bound to its hardware, plays. A backup
# of the running guest; an export and an import that are killed in the middle,
# with the daemon, and gone on with; bundles that are damaged or of an enemy.
. "$SRCDIR/tests/scenario/lib.sh"

is_refused()
{
	refusal=$1
	shift
	! "$@" >"$work/refused" 2>&1 && grep -e "$refusal" "$work/refused"
}

uuid_of()
{
	ctl --json vault show "$1" | jq -r .uuid
}

# Nothing of an import is in the state folder.
nothing_is_left()
{
	[ -z "$(ls "$state/import" 2>/dev/null)" ]
}

# flip FILE OFFSET: one bit of it.
flip()
{
	flip_byte=$(od -An -tu1 -j"$2" -N1 "$1")
	printf "\\$(printf %o $((flip_byte ^ 4)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# The vault's own files, as they stand.
digests_of()
{
	(cd "$1" && find disks fw nvram boot domain.xml -type f |
		LC_ALL=C sort | xargs sha256sum)
}

# The daemon has a small disk of its own.
if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then
	mkdir "$work/disk"
	cat >"$work/as" <<-END
	#!/bin/sh
	mount -t tmpfs -o size=70m none $work/disk && exec "\$@"
	END
	chmod 755 "$work/as"
	on_host="unshare --mount $work/as"
fi

guest_build || bail "the guest could not be built"
daemon_start || bail "the daemon did not start"
ok "a vault is created" vault_create keep || finish
vault=$state/vaults/$(uuid_of keep)
ctl vault start keep >/dev/null
ok "the player is activated" wait_for 60 serial_says keep 'PLAYER activated' ||
	finish

ok "a backup of the running guest" ctl vault export keep "$work/running.mvault"
ok "its snapshot is gone" \
	test "$(json length ctl --json vault snapshot keep list)" = 0
ok "it is good" ctl vault import --check "$work/running.mvault"
ok "there is no such folder" is_refused 'No such file' \
	ctl vault export keep "$work/none/no.mvault"
ok "no snapshot is left of that" \
	test "$(json length ctl --json vault snapshot keep list)" = 0
ok "a running vault does not move" is_refused 'stop it first' \
	ctl vault export keep "$work/no.mvault" --move
ctl vault stop --force keep >/dev/null
ctl vault snapshot keep create first >/dev/null

# Room on a disk is taken as it is needed, and not to the last.
small_disk()
{
	nsenter --target "$daemon_pid" --mount "$@"
}
part()
{
	small_disk stat -c '%i %s' "$work/disk/keep.mvault.part"
}
if [ -n "$on_host" ]; then
	ok "a disk has not enough room for it" is_refused 'no more room.*same' \
		ctl vault export keep "$work/disk"
	part >"$work/part"
	small_disk mount -o remount,size=75m "$work/disk"
	ok "nor with a little more" is_refused 'no more room' \
		ctl vault export keep "$work/disk"
	goes_on()
	{
		read -r inode size <"$work/part"
		part | { read -r i s && [ "$i" = "$inode" ] && [ "$s" -gt "$size" ]; }
	}
	ok "but it went on" goes_on
	ctl vault start keep >/dev/null
	small_disk mount -o remount,size=400m "$work/disk"
	ok "with room it ends well, with what the guest is now" test true = \
		"$(json .result.running ctl --json vault export keep "$work/disk")"
	ok "and is good" ctl vault import --check "$work/disk/keep.mvault"
	ctl vault stop --force keep >/dev/null
else
	skip "a disk has not enough room for it" "no mount name space"
fi

# Not even a moment's snapshot stays of what could not begin.
too_much()
{
	mkdir "$vault/boot/many" &&
		(cd "$vault/boot/many" && seq 1 20001 | xargs touch) &&
		ctl vault start keep &&
		is_refused 'more than 20000 files' ctl vault export keep \
			http://127.0.0.1:1/x.mvault
}
ok "a running one with too many files is refused" too_much
rm -r "$vault/boot/many"
ctl vault stop --force keep >/dev/null
ok "and its snapshot is gone" test "$(json length \
	ctl --json vault snapshot keep list)" = 1

# What is not whole is not taken for it, whoever gave it its name.
half_named()
{
	for try in 1 2 3 4 5; do
		half=$work/half$try.mvault
		ctl vault export keep "$half" --no-wait >/dev/null
		wait_for 10 test -s "$half.part" -o -s "$half"
		kill -9 "$daemon_pid"
		wait "$daemon_pid" 2>/dev/null
		daemon_start || return 1
		[ ! -e "$half.part" ] || break
	done
	mv "$half.part" "$half" &&
		is_refused 'there already' ctl vault export keep "$half"
}
ok "half of a bundle is not the bundle" half_named
ok "a host that is none is told at once" is_refused 'the key of the host' \
	ctl vault export keep "$work" --move --for-host abc --no-wait
ok "it is not exported over something" is_refused 'there already' \
	ctl vault export keep "$work/running.mvault"
ok "the name is taken" is_refused 'already: give another name (--name)' \
	ctl vault import "$work/running.mvault"
ok "the machine is here" is_refused 'this machine is here already' \
	ctl vault import "$work/running.mvault" --name other
ok "nothing is left of that" nothing_is_left
ok "nobody is there to import from" is_refused 'onnect' ctl vault import \
	"http://127.0.0.1:$(free_port)/keep.mvault" --name other
ok "nothing is left of that either" nothing_is_left

# Wherever a kill comes, before, while or after the bundle is written, or the
# lease given up, the same command goes on.
killed_export()
{
	for pause in 0.05 0.2; do
		ctl vault export keep "$work" --move --no-wait >/dev/null
		sleep "$pause"
		kill -9 "$daemon_pid"
		wait "$daemon_pid" 2>/dev/null
		daemon_start || return 1
	done
	[ -e "$work/keep.mvault" ] || ctl vault export keep "$work" --move
}
ok "it moves, the daemon killed twice" killed_export
ok "the bundle is good" ctl vault import --check "$work/keep.mvault"
ok "and says that it was moved, and when it was made" test "$(json \
	'.result | .moved and (.made_at | test("^20..-.*T.*Z$"))' \
	ctl --json vault import --check "$work/keep.mvault")" = true
ok "it does not start here any more" is_refused 'handed over' \
	ctl vault start keep
digests_of "$vault" >"$work/before"

# --- damaged, and of an enemy --------------------------------------------

size=$(stat -c %s "$work/keep.mvault")
cp "$work/keep.mvault" "$work/bad.mvault"
flip "$work/bad.mvault" $((size / 2))
ok "a flipped bit is found, with its file and bytes" \
	is_refused 'damaged: disks/disk.qcow2, bytes [0-9]* to [0-9]*' \
	ctl vault import --check "$work/bad.mvault"
head -c $((size - 100)) "$work/keep.mvault" >"$work/cut.mvault"
ok "a cut is no bundle" is_refused 'before its end' \
	ctl vault import --check "$work/cut.mvault"

# A small one for the enemy.
echo kernel >"$work/kernel"
ctl vault create small --disk-size 16M --kernel "$work/kernel" \
	--initrd "$work/kernel" >/dev/null
small=$state/vaults/$(uuid_of small)
ok "a vault that was never started is exported" \
	ctl vault export small "$work/small.mvault"

# --- the new host -----------------------------------------------------------

daemon_stop
mv "$state" "$work/old"
daemon_start || bail "the daemon did not start on a new state"
mkdir -p "$state/import/$(printf %s "$work/bad.mvault" | sha256sum |
	cut -c1-32).done/x"
ok "the damaged one is refused" is_refused 'damaged' \
	ctl vault import "$work/bad.mvault"
ok "and nothing of it is left" nothing_is_left
ok "so is one of another signer" is_refused 'not by' \
	ctl vault import "$work/keep.mvault" \
	--signer "$(printf '%064d' 0)"
ok "and nothing of it is left" nothing_is_left

# enemy WHAT...: that of a good bundle is changed, and it is signed again.
enemy()
{
	"$BUILDDIR/tests/scenario/enemy" "$work/small.mvault" \
		"$work/enemy.mvault" "$@" || return 1
	! ctl vault import "$work/enemy.mvault" >"$work/refused" 2>&1 &&
		cat "$work/refused" && nothing_is_left &&
		[ "$(json length ctl --json vault list)" = 0 ] &&
		[ -z "$(ls "$state/vaults" 2>/dev/null)" ]
}
plan_is_refused()
{
	enemy plan "$1" "$2" && grep 'bundle' "$work/refused"
}
ok "a path out of the vault is refused" \
	plan_is_refused boot/kernel boot/../../kernel
ok "so is one from the root" plan_is_refused boot/kernel /etc/cron.d/x
ok "so is a file twice" plan_is_refused boot/initrd boot/kernel
ok "so is a huge one" plan_is_refused '"size":' '"size":9000000000000000'
domain_is_refused()
{
	enemy file domain.xml "$1" "$2" &&
		grep 'domain.xml cannot be in a vault' "$work/refused"
}
ok "so is a definition with the host's file" \
	domain_is_refused "$small/disks/disk.qcow2" /etc/shadow
ok "so is one with a program's socket" domain_is_refused '<qemu:commandline>' \
	"<qemu:commandline><qemu:arg value='-qmp'/><qemu:arg value='unix:/x'/>"
disk_is_refused()
{
	rm -f "$work/evil.qcow2" "$work/data.raw"
	qemu-img create -q -f qcow2 "$@" "$work/evil.qcow2" 16M &&
		enemy image disks/disk.qcow2 "$work/evil.qcow2" &&
		grep 'disks/disk.qcow2 cannot be in a vault' "$work/refused"
}
ok "so is a disk on the host's file" disk_is_refused -u -b /etc/shadow -F raw
ok "so is a disk with its data elsewhere" \
	disk_is_refused -o "data_file=$work/data.raw"

# What an earlier import from there has left comes into no vault.
left_by_another()
{
	key=$(printf %s "$1" | sha256sum | cut -c1-32)
	mkdir -p "$state/import/$key/$(basename "$vault")/snapshots/x" &&
		touch "$state/import/$key/$(basename "$vault")/snapshots/x/y"
}
ok "something of another import lies there" left_by_another "$work/keep.mvault"
killed_import()
{
	for pause in 0.05 0.2; do
		ctl vault import "$work/keep.mvault" --name moved \
			--no-wait >/dev/null
		sleep "$pause"
		kill -9 "$daemon_pid"
		wait "$daemon_pid" 2>/dev/null
		daemon_start || return 1
	done
	ctl vault show moved >/dev/null 2>&1 ||
		ctl vault import "$work/keep.mvault" --name moved
}
ok "it is imported, the daemon killed twice" killed_import
ok "nothing is left of that" nothing_is_left
vault=$state/vaults/$(uuid_of moved)
ok "it has nothing of the other" test ! -e "$vault/snapshots/x"
digests_of "$vault" >"$work/after"
ok "every file is as it was" diff "$work/before" "$work/after"
ok "with its snapshot" test "$(json '.[0].name' \
	ctl --json vault snapshot moved list)" = first
ok "it starts" ctl vault start moved
ok "the player plays" wait_for 60 serial_says moved 'PLAYER playing'
ok "as on the machine that it was bound to" serial_says moved 'PLAYER licensed'
ctl vault stop --force moved >/dev/null
ok "it goes back to its snapshot" ctl vault snapshot moved revert first

# The backup is of the same machine: not beside it.
ok "the backup is refused beside it" is_refused 'this machine is here' \
	ctl vault import "$work/running.mvault" --name backup
ctl vault delete moved --yes >/dev/null
ok "the backup is imported" ctl vault import "$work/running.mvault"
ok "and does not start by itself" is_refused 'vault restore' \
	ctl vault start keep
ok "but when its owner says so" ctl vault restore keep --yes \
	--statement "the other is retired"
ok "then it starts" ctl vault start keep

daemon_stop
on_host=$BUILDDIR/tests/scenario/plain_rename
daemon_start || bail "the daemon did not start again"
ok "it is exported to where a rename is a plain one" \
	ctl vault export keep "$work/plain.mvault"
ok "nothing else is left there" test ! -e "$work/plain.mvault.part"
ok "and is good" ctl vault import --check "$work/plain.mvault"
finish
