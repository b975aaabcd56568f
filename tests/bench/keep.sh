#!/bin/sh
# tests/bench/keep.sh - how fast a vault's disk is digested, verified, exported
# and imported, beside sha256sum, openssl and qemu-img on the same image. MB/s
# of what the image holds, the best of some rounds; whatever writes is synced.
# Half of the image can't be compressed, half can, and it has holes.
. "$SRCDIR/tests/scenario/lib.sh"
rounds=${ROUNDS:-3}
size=${SIZE:-512} # MiB of data

image=$work/image.qcow2
make_image()
{
	raw=$work/image.raw
	truncate -s $((4 * size))M "$raw" &&
		openssl enc -aes-128-ctr -pass pass:bench -nosalt -pbkdf2 \
			-in /dev/zero 2>/dev/null |
		dd of="$raw" bs=1M count=$((size / 2)) iflag=fullblock \
			conv=notrunc status=none
	cat /usr/bin/* /usr/lib/*/lib*.so* 2>/dev/null | head -c 64M \
		>"$work/text"
	at=$size
	while [ $at -lt $((size + size / 2)) ]; do
		dd if="$work/text" of="$raw" bs=1M seek=$at conv=notrunc \
			status=none
		at=$((at + 64))
	done
	qemu-img convert -O qcow2 "$raw" "$image" && rm "$raw" "$work/text"
}

# drop FILE: what the host remembers of it; warm FILE: it remembers all.
drop()
{
	sync "$1"
	dd if="$1" iflag=nocache count=0 status=none
}
warm()
{
	cat "$1" >/dev/null
}

# best NAME COMMAND...: the shortest of the rounds; `before` comes before each.
best()
{
	best_name=$1
	shift
	for round in $(seq "$rounds"); do
		$before || return 1
		start=$(date +%s%N)
		"$@" >"$work/out" 2>&1 || {
			cat "$work/out" >&2
			return 1
		}
		echo $(($(date +%s%N) - start))
	done | sort -n | head -1 >"$work/best"
	report "$best_name" "$(cat "$work/best")"
}
# report NAME NANOSECONDS
report()
{
	awk -v name="$1" -v ns="$2" -v bytes="$data" 'BEGIN {
		printf "keep     %-36s %7.0f MB/s\n", name, bytes / ns * 1e3 }'
}

# What a job took, by its own clock.
job_ns()
{
	sqlite3 "$state/catalog.db" "SELECT (ended_at - started_at) * 1000 \
		FROM job WHERE kind = '$1' AND state = 'done' \
		ORDER BY seq DESC LIMIT 1"
}
digested()
{
	ctl --json vault show keep | jq -e .verification.digested
}
# A new vault of the image, whose first snapshot is digested.
digest()
{
	for round in $(seq "$rounds"); do
		ctl vault delete keep --yes >/dev/null 2>&1
		ctl vault create keep --disk "$image" >/dev/null || return 1
		disk=$(ctl --json vault show keep | jq -r .disk.path)
		warm "$disk"
		ctl vault snapshot keep create one >/dev/null || return 1
		wait_for 300 digested || return 1
		sleep 0.2
		job_ns digest
	done | sort -n | head -1 >"$work/best"
	report "digests of a snapshot, from memory" "$(cat "$work/best")"
}
convert()
{
	rm -f "$work/copy.qcow2"
	qemu-img convert -O qcow2 "$@" "$disk" "$work/copy.qcow2" &&
		sync "$work/copy.qcow2"
}
export_it()
{
	rm -f "$work/keep.mvault"
	ctl vault export keep "$work/keep.mvault" && sync "$work/keep.mvault"
}
gone()
{
	ctl vault delete keep --yes >/dev/null 2>&1
	warm "$work/keep.mvault"
}

make_image || exit 1
data=$(qemu-img map --output=json "$image" |
	jq '[.[] | select(.data) | .length] | add')
daemon_start >/dev/null || exit 1
digest || exit 1
disk=$(ctl --json vault show keep |
	jq -r '.disk.path | sub("[^/]*$"; "disk.qcow2")')
before="warm $disk"
best "sha256sum, from memory" sha256sum "$disk"
best "openssl dgst -sha256, from memory" openssl dgst -sha256 "$disk"
before="drop $disk"
best "verify --deep, from the medium" ctl vault verify keep --deep
best "sha256sum, from the medium" sha256sum "$disk"
before="warm $disk"
best "export" export_it
best "qemu-img convert" convert
best "qemu-img convert -c, zstd" convert -c -o compression_type=zstd
before=gone
best "import" ctl vault import "$work/keep.mvault"
before="warm $work/keep.mvault"
best "sha256sum of the bundle" sha256sum "$work/keep.mvault"
