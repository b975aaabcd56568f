# Snapshots: of a stopped and of a running vault, reverted and deleted in the
# middle; then daemon and QEMU are killed at random moments of each. The player
# of the guest, bound to this machine, is the judge.
. "$SRCDIR/tests/scenario/lib.sh"

rounds=${SNAPSHOT_ROUNDS:-1}

snapshot()
{
	ctl vault snapshot keep "$@"
}

names()
{
	ctl --json vault snapshot keep list | jq -r '.[].name'
}

# The guest is started anew and says so on its serial port.
plays()
{
	ctl vault start keep && wait_for 60 serial_says keep 'PLAYER playing'
}

stop()
{
	ctl vault stop --force keep
}

# Files of layers are those of layers.json, each a good image on the next.
layers_are_whole()
{
	(cd "$vault/disks" && ls | grep -v '^layers.json$' | sort) \
		>"$work/files"
	jq -r '.layers[].file' "$vault/disks/layers.json" | sort >"$work/named"
	diff "$work/named" "$work/files" || return 1
	while read -r layer; do
		qemu-img check -q -U "$vault/disks/$layer" ||
			[ $? = 3 ] || return 1
	done <"$work/named"
	names | sort >"$work/named"
	ls "$vault/snapshots" | sort | diff "$work/named" -
}

is_refused()
{
	refusal=$1
	shift
	! "$@" >"$work/refused" 2>&1 && grep "$refusal" "$work/refused"
}

guest_build || bail "the guest could not be built"
daemon_start || bail "the daemon did not start"
ok "a vault is created" vault_create keep || finish
vault=$state/vaults/$(ctl --json vault show keep | jq -r .uuid)

echo variables-1 >"$vault/nvram/test"
ok "a snapshot before the first start" snapshot create fresh
ok "its name is taken" is_refused 'already' snapshot create fresh
ok "a name that is a path is refused" is_refused 'no name' \
	snapshot create ../x
ok "the guest plays" plays || finish
ok "it was activated" serial_says keep 'PLAYER activated'
ok "a snapshot while it runs" snapshot create running
runs()
{
	ctl --json vault show keep | jq -e '.state == "running" and .why == null'
}
ok "it runs on" wait_for 5 runs
ok "another at once" snapshot create second
ok "no revert while it runs" is_refused 'stop it' snapshot revert fresh
ok "one in the middle is deleted while it runs" \
	snapshot delete running --yes
ok "layers are whole" layers_are_whole
stop >/dev/null
echo variables-2 >"$vault/nvram/test"
# What the guest sees on its disk.
seen()
{
	qemu-img convert -O raw "$(ctl --json vault show keep |
		jq -r .disk.path)" "$work/seen" && sha256sum <"$work/seen"
}
seen >"$work/licensed"
mv "$vault/snapshots/fresh/nvram/test" "$work/kept"
ok "no revert to variables that are lost" is_refused \
	'snapshots/fresh/nvram/test is missing.*from a backup' \
	snapshot revert fresh
mv "$work/kept" "$vault/snapshots/fresh/nvram/test"
mv "$vault/snapshots/fresh" "$work/kept"
ok "nor to a snapshot whose folder is" is_refused 'fresh is missing' \
	snapshot revert fresh --discard --yes
mv "$work/kept" "$vault/snapshots/fresh"
ok "both leave the vault as it is" grep -q variables-2 "$vault/nvram/test"
: >"$vault/disks/layers.json.next"
ok "back to before the first start, past what a dead guest left" \
	snapshot revert fresh
ok "with the variables of then" grep -q variables-1 "$vault/nvram/test"
ok "it plays" plays
ok "as one that never ran" serial_says keep 'PLAYER activated'
stop >/dev/null
ok "back to what was before" snapshot revert \
	"$(names | grep '^before-' | head -1)"
ok "with the variables of then" grep -q variables-2 "$vault/nvram/test"
as_it_was()
{
	seen | diff "$work/licensed" -
}
ok "and the very disk, with its licence" as_it_was
ok "the sealed state is made" snapshot create sealed
ok "and not deleted by accident" is_refused 'force-sealed' \
	snapshot delete sealed --yes

# Digests: made, compared, and one byte of a frozen layer that has changed.
ok "a vault without digests gets them" ctl vault verify keep --deep
trees()
{
	ls "$vault/digests"
	[ "$(ls "$vault/digests" | wc -l)" = \
		$(($(ls "$vault/disks" | grep -c -v layers.json) - 1)) ]
}
ok "each frozen layer has its tree" trees
ok "nothing has changed" ctl vault verify keep --deep
offset=$(qemu-img map -U --output=json "$vault/disks/disk.qcow2" |
	jq '[.[] | select(.data)] | max_by(.length)')
place=$(echo "$offset" | jq .offset)
seen=$(echo "$offset" | jq .start)
flip()
{
	byte=$(od -A n -t u1 -j "$place" -N 1 "$vault/disks/disk.qcow2")
	printf "$(printf '\\%03o' $((byte ^ 1)))" | dd status=none conv=notrunc \
		bs=1 seek="$place" of="$vault/disks/disk.qcow2"
}
flip
block=$((seen / 262144 * 262144))
ok "a bit that flipped is found, with file and bytes" is_refused \
	"disk.qcow2 has changed: bytes $block to $((block + 262143)) " \
	ctl vault verify keep --deep
logged()
{
	ctl --json events | grep '"vault.verified"' | grep -q damaged
}
ok "and is in the log" logged
flip
ok "flipped back, all is well" ctl vault verify keep --deep

# Killed at random moments: the daemon, or QEMU.
random_pause()
{
	sleep "$(awk -v s="$1$(date +%N)" \
		'BEGIN { srand(substr(s, 1, 9)); print rand() * 0.4 }')"
}
killed_daemon()
{
	"$BUILDDIR/mediavmctl" --socket "$run/api.sock" \
		vault snapshot keep "$@" >/dev/null 2>&1 &
	random_pause "$round"
	kill -9 "$daemon_pid"
	wait 2>/dev/null
	daemon_start && layers_are_whole
}
killed_guest()
{
	snapshot create "$1" >/dev/null 2>&1 &
	killed=$!
	random_pause "$round"
	kill -9 "$(guest_pid keep)"
	wait "$killed"
	layers_are_whole
}
gone()
{
	ctl --json vault show keep | jq -e '.state != "running"'
}
round=0
while [ $round -lt "$rounds" ]; do
	round=$((round + 1))
	ok "round $round: the guest starts" ctl vault start keep || finish
	ok "the daemon is killed in a snapshot" killed_daemon create "d$round"
	ok "the guest is not left paused" wait_for 5 runs
	ok "QEMU is killed in a snapshot" killed_guest "q$round"
	wait_for 10 gone
	ok "the daemon is killed in a revert" killed_daemon revert sealed
	ok "the daemon is killed in a deletion" killed_daemon delete \
		"$(names | grep -v sealed | head -1)" --yes
done
ok "after all of it the sealed state" snapshot revert sealed
ok "is what it was" as_it_was
touch "$vault/digests/disk.qcow2.checked"
for name in $(names); do
	snapshot delete "$name" --force-sealed --yes >/dev/null
done
one_layer()
{
	names
	ls "$vault/disks"
	[ "$(ls "$vault/disks" | wc -l)" = 2 ] && layers_are_whole
}
ok "without snapshots there is one image again" one_layer
ok "of which nothing is known" [ -z "$(ls "$vault/digests")" ]
ok "which is what it was" as_it_was
ok "it plays" plays
ok "with its licence" serial_says keep 'PLAYER licensed'
stop >/dev/null

# A full disk: what gives room back goes on. The daemon alone sees it.
full()
{
	daemon_stop
	cat >"$work/on_small" <<-END
	#!/bin/sh
	mount -t tmpfs -o size=160M none "$work/small" && exec "\$@"
	END
	chmod 755 "$work/on_small"
	mkdir "$work/small"
	state=$work/small/state
	on_host="unshare --mount $work/on_small"
	qemu-img create -q -f qcow2 "$work/empty.qcow2" 16M
	daemon_start && ctl vault create keep --memory 64M --cpus 1 \
		--disk "$work/empty.qcow2" &&
		snapshot create one && snapshot create two || return 1
	nsenter -t "$daemon_pid" -m fallocate -l 130M "$work/small/filled" &&
		is_refused 'make room' snapshot create three &&
		is_refused 'make room' snapshot revert one &&
		snapshot delete one --yes && [ "$(names)" = two ]
}
if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then
	ok "on a full disk a snapshot can be deleted" full
else
	skip "on a full disk a snapshot can be deleted" "only root mounts"
fi
finish
