#!/bin/sh
# tests/bench/probe.sh - how long the identity probe takes through libvirt:
# until QEMU ran, until the report was read, until nothing of it was left. The
# median of several probes of each vault, after one that is not counted (of a
# TPM that has not run before, it is the one that makes the TPM). Vaults have
# run before, as those have that are sealed: UEFI firmware that finds empty
# variables writes them first, which is measured once, as uefi-new.
. "$SRCDIR/tests/scenario/lib.sh"
rounds=${ROUNDS:-5}

# median FIELD: of the probes of a vault.
median()
{
	jq -r ".$1" "$work"/probe.* | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# run_once NAME: so long that its firmware has come to its end.
run_once()
{
	ctl vault start "$1" >/dev/null && sleep 15 &&
		ctl vault stop "$1" --force >/dev/null
}

# measure NAME OPTION...: a line for a vault made with these options.
measure()
{
	name=$1
	shift
	rm -f "$work"/probe.*
	ctl vault create "$name" --memory 512M --cpus 2 --disk-size 1G "$@" \
		>/dev/null || return 1
	[ "$name" = uefi-new ] || run_once "$name" || return 1
	ctl vault identity "$name" >/dev/null || return 1
	for round in $(seq "$rounds"); do
		ctl --json vault identity "$name" >"$work/probe.$round" ||
			return 1
	done
	printf 'probe    %-10s %5d ms to QEMU %6d ms to report %6d ms in all\n' \
		"$name" "$(median start_ms)" "$(median report_ms)" \
		"$(median total_ms)"
}

daemon_start >/dev/null || exit 1
ctl --json doctor | jq -r '.checks[] | select(.name == "kvm") |
	"guests run by \(if .status == "ok" then "KVM" else "TCG" end)"' 2>/dev/null
measure bios && measure uefi-new --firmware uefi &&
	measure uefi --firmware uefi &&
	measure uefi-tpm --firmware uefi --tpm
