# lib_keep.sh - what the scenarios of keeping share, after lib.sh: chance that
# can be had again, hosts beside each other, vaults that are made in a moment,
# and whether a vault is whole.
#
# ROUNDS says how many rounds, SEED which ones; both are printed.

seed=${SEED:-$(date +%s)}
chance_state=$((seed % 2147483646 + 1))

# chance N: sets $chance to one of 0 to N - 1.
chance()
{
	chance_state=$((chance_state * 48271 % 2147483647))
	chance=$((chance_state / 7 % $1))
}

# one_of WORD...: sets $one; to nothing, of nothing.
one_of()
{
	one=
	[ $# -gt 0 ] || return 0
	chance $#
	shift "$chance"
	one=$1
}

now_ms()
{
	date +%s%3N
}

# pause_ms MILLISECONDS
pause_ms()
{
	sleep "$(($1 / 1000)).$(printf %03d $(($1 % 1000)))"
}

# --- hosts -----------------------------------------------------------------

# host NAME [LIKE]: from here on $state, $run and the daemon are those of this
# host. Each has folders of its own for everything that a host has one of, and
# where the machine lets us a host name; with LIKE it is that host, and only
# the daemon and its folders are others.
host=
host()
{
	[ -z "$host" ] || eval "daemon_of_$host=\$daemon_pid"
	host=$1
	state=$work/$host/state
	run=$work/$host/run
	config=$work/$host/mediavmd.conf
	eval "daemon_pid=\${daemon_of_$host:-}"
	on_host=
	[ "$(id -u)" = 0 ] && unshare --uts true 2>/dev/null &&
		on_host="unshare --uts $work/$host/as"
	[ -d "$work/$host" ] && return
	mkdir "$work/$host"
	printf '#!/bin/sh\nhostname %s && exec "$@"\n' "${2:-$host}" \
		>"$work/$host/as"
	chmod 755 "$work/$host/as"
	daemon_config "[daemon]" "identity = $work/${2:-$host}/identity" \
		"registry = $work/${2:-$host}/registry"
}

# host_gone NAME: with all that it had; its guests as well.
host_gone()
{
	host "$1"
	daemon_kill
	for pid in $(pgrep -f "$work/$1/"); do
		kill -9 "$pid" 2>/dev/null
	done
	wait_for 5 host_is_quiet "$1" && rm -rf "${work:?}/$1"
	daemon_pid=
}
host_is_quiet()
{
	! pgrep -f "$work/$1/"
}

daemon_kill()
{
	[ -n "$daemon_pid" ] || return 0
	kill -9 "$daemon_pid" 2>/dev/null
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}

folder_of()
{
	echo "$state/vaults/$(ctl --json vault show "$1" | jq -r .uuid)"
}

# --- a vault that is made in a moment ---------------------------------------

# tiny_disk FILE: 32 MiB, of which 8 MiB can't be packed.
tiny_disk()
{
	head -c 8388608 /dev/urandom >"$1.data"
	truncate -s 32M "$1.data"
	qemu-img convert -f raw -O qcow2 "$1.data" "$1"
	rm "$1.data"
}

# tiny_create NAME [OPTION...]: of a copy of tiny_disk's.
tiny_create()
{
	[ -f "$work/tiny.qcow2" ] || tiny_disk "$work/tiny.qcow2"
	ctl vault create "$@" --memory 64M --cpus 1 \
		--disk "$work/tiny.qcow2" &&
		tiny_write "$(folder_of "$1")" 1
}

# tiny_create_uefi NAME: with UEFI and a TPM that has been used.
tiny_create_uefi()
{
	[ -d "$work/tpm2" ] || {
		mkdir "$work/tpm2" &&
			swtpm_setup --tpm2 --tpmstate "$work/tpm2" || return 1
	}
	tiny_create "$1" --memory 256M --firmware uefi --tpm &&
		made=$(folder_of "$1") && mkdir -p "$made/tpm/tpm2" &&
		cp "$work/tpm2/$tpm_file" "$made/tpm/tpm2" &&
		tiny_write "$made" 1
}

# active_layer FOLDER: the image that the guest writes to.
active_layer()
{
	if [ -f "$1/disks/layers.json" ]; then
		echo "$1/disks/$(jq -r ".disks[0].active" "$1/disks/layers.json")"
	else
		echo "$1/disks/disk.qcow2"
	fi
}

# Eight bytes of the firmware's variables (of their spare block) and of the
# TPM's state (of its seeds) that stay as they are while guests run. All else
# there changes as soon as one does.
vars_mark=540664
tpm_mark=600
tpm_file=tpm2-00.permall

# mark FILE AT NUMBER: if there is the file.
mark()
{
	[ ! -e "$1" ] || printf %08d "$3" |
		dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
# marked FILE AT: its number, and a digest of the file unless a guest $ran.
ran=
marked()
{
	[ -e "$1" ] || return 0
	dd if="$1" bs=1 skip="$2" count=8 status=none
	[ -n "$ran" ] || sha256sum <"$1" | cut -c 1-16
}

# tiny_write FOLDER NUMBER: as a guest that runs would, to disk, variables and
# TPM.
tiny_write()
{
	qemu-io -f qcow2 -c "write -P $(($2 % 256)) 20M 64k" \
		"$(active_layer "$1")" >"$work/qemu-io" || return 1
	echo "$2" >"$1/nvram/number"
	mark "$1/nvram/vars.fd" $vars_mark "$2" &&
		mark "$1/tpm/tpm2/$tpm_file" $tpm_mark "$2"
}

# --- whether a vault is whole -----------------------------------------------

# content LAYER: a digest of what the guest sees of it.
content()
{
	qemu-img convert -U -f qcow2 -O raw "$1" "$work/content.raw" &&
		sha256sum <"$work/content.raw" | cut -c 1-16
}

# variables FOLDER: a vault's or a snapshot's, and the TPM's state.
variables()
{
	cat "$1/nvram/number" 2>/dev/null || echo none
	marked "$1/nvram/vars.fd" $vars_mark
	marked "$1/tpm/tpm2/$tpm_file" $tpm_mark
}

# picture FOLDER: all that a vault is, one thing on a line. Two pictures that
# are equal are two vaults that are equal.
picture()
{
	echo "definition $(sha256sum <"$1/domain.xml" | cut -c 1-16)"
	echo "active" $(content "$(active_layer "$1")") $(variables "$1")
	[ ! -e "$1/fingerprint.json" ] ||
		jq -r '"seal \(.epoch) \(.digest)"' "$1/fingerprint.json"
	[ ! -f "$1/disks/layers.json" ] ||
		jq -r '.snapshots[] | "\(.name) \(.layers[0])"' \
			"$1/disks/layers.json" | sort |
		while read -r name layer; do
			echo "snapshot $name" $(content "$1/disks/$layer") \
				$(variables "$1/snapshots/$name")
		done
}

# files_are_known FOLDER: nothing is there that is not the vault's.
files_are_known()
{
	ls -A "$1" | grep -vxE 'domain\.xml|fw|nvram|tpm|disks|snapshots|digests|seal|seals|fingerprint\.json|lease\.json|machine|serial\.log|boot|media' && {
		echo "are left in $1"
		return 1
	}
	find "$1/nvram" "$1/tpm" -name '*.mediavm-new' | grep . && return 1
	[ -f "$1/disks/layers.json" ] || return 0
	ls -A "$1/disks" | grep -v '^layers.json$' | sort >"$work/files"
	jq -r '.layers[].file' "$1/disks/layers.json" | sort >"$work/named"
	diff "$work/named" "$work/files" || return 1
	jq -r '.snapshots[].name' "$1/disks/layers.json" | sort >"$work/named"
	ls -A "$1/snapshots" | sort | diff "$work/named" -
}

# images_are_good FOLDER: each a good image, and on another of the folder.
images_are_good()
{
	for image in "$1/disks/"*; do
		case $image in
		*.json) continue ;;
		esac
		qemu-img check -q -U "$image" || [ $? = 3 ] || return 1
		backing=$(qemu-img info -U --output=json "$image" |
			jq -r '."backing-filename" // ""')
		case $backing in
		*/*)
			echo "$image stands on $backing"
			return 1
			;;
		esac
		[ -z "$backing" ] || [ -f "$1/disks/$backing" ] || return 1
	done
}

# seal_is_good FOLDER: it is there with all of its parts, or not at all.
seal_is_good()
{
	if [ ! -e "$1/seal" ]; then
		[ ! -e "$1/fingerprint.json" ] && [ ! -e "$1/seals" ]
		return
	fi
	for part in acpi_tables rsdp loader domain.xml fingerprint.json; do
		[ -s "$1/seal/$part" ] || return 1
	done
	cmp "$1/domain.xml" "$1/seal/domain.xml" || return 1
	jq -S 'del(.check)' "$1/seal/fingerprint.json" >"$work/sealed"
	jq -S 'del(.check)' "$1/fingerprint.json" | cmp - "$work/sealed" ||
		return 1
	[ "$(ls "$1/seals" 2>/dev/null | wc -l)" = \
		$(($(jq .epoch "$work/sealed") - 1)) ]
}

# Processes of this host, but for the daemon, its gateway and QEMUs of vaults.
nothing_runs()
{
	! pgrep -af "mediavmd job .*" | grep "$work/$host/" &&
		! pgrep -af "(qemu|swtpm|/probe/).*$work/$host/"
}

# is_whole NAME: a stopped vault. It may take a moment until what was killed
# has ended.
is_whole()
{
	whole=$(folder_of "$1")
	wait_for 10 nothing_runs || nothing_runs || return 1
	files_are_known "$whole" && images_are_good "$whole" &&
		seal_is_good "$whole" &&
		xmllint --noout "$whole/domain.xml" &&
		{ [ "$(qemu_count)" = 0 ] || return 1; }
}
qemu_count()
{
	pgrep -fc "qemu-system.*$work/$host/"
}

# digests_agree NAME: of everything that is frozen; also without snapshots.
digests_agree()
{
	[ "$(ctl --json vault snapshot "$1" list | jq length)" = 0 ] ||
		ctl vault verify "$1" --deep
}

# starts NAME: and is stopped again at once.
starts()
{
	ctl vault start "$1" && ctl vault stop --force "$1"
}
