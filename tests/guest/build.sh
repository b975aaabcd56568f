#!/bin/sh
# tests/guest/build.sh - build the demo guest; print the paths of its kernel,
# its initial RAM disk and its licensed disk (activation pending).
#
# The kernel and busybox are Debian's, the player and its lesson are ours
# (player.c). What is built goes to $BUILDDIR/tests/guest:
#
#   vmlinuz       Debian's kernel, unpacked: an ELF that QEMU enters through
#                 PVH, because unpacking it in an emulated guest takes longer
#                 than all the rest of the boot
#   bzimage       the same kernel as it comes, which UEFI firmware can start
#   initrd.img    busybox, the drivers, the player
#   inspect.img   the same and another init, which tells what hardware it sees
#   lesson.qcow2  the disk; work on an overlay or a copy of it
#   cmdline       the kernel command line to use
#
# Every piece is kept in ${MEDIAVM_CACHE:-~/.cache/mediavm} under a name that
# holds a digest of what it was made from; so only what has changed is built
# anew, and with a full cache no network is needed. A newer kernel comes when
# the package is removed from there.
set -eu
: "${SRCDIR:?run it through make guest}" "${BUILDDIR:?}"
cache=${MEDIAVM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mediavm}
source=$SRCDIR/tests/guest
out=$BUILDDIR/tests/guest
CC=${CC:-gcc}

# What the guest's hardware needs, in two strands that init loads side by
# side; the modules these depend on come with them.
strand_1='ahci sd_mod e1000e'
strand_2='qxl snd-hda-codec-generic snd-hda-intel evdev button psmouse xhci-pci
	usbhid hid-generic virtio_pci virtio_console'
cmdline='console=ttyS0 quiet loglevel=3 vt.global_cursor_default=0 tsc=reliable no_timer_check nokaslr mitigations=off'

player_sources='player.c serial.c screen.c desktop.c input.c agent.c sound.c
	lesson.c licence.c fingerprint.c'
lesson_sources='make_lesson.c picture.c'
common_headers='lesson_disk.h frame_strip.h'
player_headers='serial.h screen.h desktop.h input.h agent.h sound.h lesson.h
	licence.h fingerprint.h'

die()
{
	echo "tests/guest/build.sh: $*" >&2
	exit 1
}

mkdir -p "$cache" "$out" || die "cannot make $cache or $out"
# One build at a time; the second finds everything made.
exec 9>"$cache/lock" || die "cannot write in $cache; set MEDIAVM_CACHE"
flock 9
work=$cache/work
rm -rf "$work"
mkdir "$work"
trap 'rm -rf "$work"' EXIT

# digest TEXT FILE...: twelve letters for all of this.
digest()
{
	{
		echo "$1"
		shift
		cd "$source" && cat "$@" /dev/null
	} | sha256sum | cut -c 1-12
}

# Pieces that nobody has wanted for a month go when a new one is made.
keep()
{
	mv "$work/$1" "$cache/$2"
	find "$cache" -maxdepth 1 -name "${2%%-*}-*" -mtime +30 \
		-exec rm -rf {} +
}

# The package of the kernel, downloaded by any user. The system's own package
# lists may be absent or too old, so fresh ones of our own are the second try.
download_kernel()
{
	lists=
	for lists in '' "-o Dir::State=$work/apt -o Dir::Cache=$work/apt/cache"
	do
		if [ -n "$lists" ]; then
			mkdir -p "$work/apt/lists/partial" \
				"$work/apt/cache/archives/partial"
			lists="$lists -o Dir::State::status=/var/lib/dpkg/status"
			# shellcheck disable=SC2086
			apt-get -q $lists update >>"$work/log" 2>&1 || continue
		fi
		# shellcheck disable=SC2086
		package=$(apt-cache $lists depends linux-image-amd64 \
			2>>"$work/log" | sed -n 's/^ *Depends: //p' | head -n 1)
		[ -n "$package" ] || continue
		# shellcheck disable=SC2086
		if (cd "$work" && apt-get -q $lists download "$package") \
			>>"$work/log" 2>&1; then
			mv "$work"/linux-image-*.deb "$cache/"
			return
		fi
	done
	grep '^E:' "$work/log" >&2 || :
	die "cannot download Debian's kernel package, and there is none in" \
		"$cache; connect to the network (or fix apt's sources) and" \
		"run it again"
}

# number FILE OFFSET: a 32 bit number of the file.
number()
{
	od -A n -t u4 -j "$2" -N 4 "$1" | tr -d ' '
}

# The ELF inside a bzImage (the kernel's Documentation/x86/boot.rst: payload
# offset and length; the last four bytes of an XZ payload are its size).
unpack_kernel()
{
	sectors=$(od -A n -t u1 -j 497 -N 1 "$1" | tr -d ' ')
	begin=$(((sectors + 1) * 512 + $(number "$1" 584)))
	tail -c "+$((begin + 1))" "$1" | head -c "$(($(number "$1" 588) - 4))" |
		xz -dc >"$2" || die "$1 has no XZ payload"
}

# module_file NAME: nothing if it is built into the kernel.
module_file()
{
	find "$work/deb/lib/modules" -name "$1.ko" -o \
		-name "$(echo "$1" | tr _ -).ko"
}

# add_module NAME STRAND: what it depends on first, each one once. A module
# may be in both strands: the kernel lets the second wait for the first.
add_module()
{
	[ -n "$(module_file "$1")" ] || return 0
	for needed in $(tr '\0' '\n' <"$(module_file "$1")" |
		grep -a '^depends=' | cut -d = -f 2 | tr , ' '); do
		add_module "$needed" "$2"
	done
	! grep -qx "$1" "$work/kernel/modules/$2" || return 0
	cp "$(module_file "$1")" "$work/kernel/modules/$1.ko"
	echo "$1" >>"$work/kernel/modules/$2"
}

newest_package()
{
	find "$cache" -maxdepth 1 -name 'linux-image-*.deb' | sort -V | tail -n 1
}

package=$(newest_package)
if [ -z "$package" ]; then
	download_kernel
	package=$(newest_package)
fi
kernel=kernel-$(digest "$strand_1/$strand_2 $(basename "$package")")
if [ ! -e "$cache/$kernel" ]; then
	mkdir -p "$work/kernel/modules"
	: >"$work/kernel/modules/strand_1"
	: >"$work/kernel/modules/strand_2"
	dpkg-deb -x "$package" "$work/deb" ||
		die "$package is damaged; remove it and run this again"
	unpack_kernel "$work"/deb/boot/vmlinuz-* "$work/kernel/vmlinuz"
	for driver in $strand_1; do
		add_module "$driver" strand_1
	done
	for driver in $strand_2; do
		add_module "$driver" strand_2
	done
	for driver in qxl snd-hda-intel ahci; do
		[ -e "$work/kernel/modules/$driver.ko" ] ||
			die "$package has no driver $driver"
	done
	keep kernel "$kernel"
fi

flags="-std=c11 -D_GNU_SOURCE -Wall -Wextra -I$source"
# shellcheck disable=SC2086
player=player-$(digest "$CC $flags" $player_sources $player_headers \
	$common_headers)
if [ ! -e "$cache/$player" ]; then
	# The C library warns of functions that do not work in a static
	# program; libcrypto mentions some that nobody calls.
	# shellcheck disable=SC2046,SC2086
	(cd "$source" && "$CC" -O2 $flags \
		$(pkg-config --cflags libdrm spice-protocol) \
		-static -s -Wl,--gc-sections,--no-warnings -o "$work/player" \
		$player_sources -lcrypto -ljpeg) || die "the player does not build"
	keep player "$player"
fi

# shellcheck disable=SC2086
lesson=lesson-$(digest "$CC $flags" $lesson_sources picture.h $common_headers)
if [ ! -e "$cache/$lesson" ]; then
	# shellcheck disable=SC2086
	(cd "$source" && "$CC" -O3 $flags -o "$work/make_lesson" \
		$lesson_sources -ljpeg -lcrypto -lm) ||
		die "make_lesson does not build"
	"$work/make_lesson" "$work/lesson.raw" || die "cannot make the lesson"
	qemu-img convert -f raw -O qcow2 "$work/lesson.raw" "$work/lesson" ||
		die "qemu-img cannot convert the lesson's disk"
	keep lesson "$lesson"
fi

busybox=$(command -v busybox) || die "busybox is missing; install busybox-static"
initrd=initrd-$(digest "$kernel $player $(sha256sum <"$busybox")" init)
if [ ! -e "$cache/$initrd" ]; then
	tree=$work/tree
	mkdir -p "$tree/bin" "$tree/dev" "$tree/proc" "$tree/sys"
	cp "$busybox" "$tree/bin/busybox"
	cp "$cache/$player" "$tree/player"
	cp -r "$cache/$kernel/modules" "$tree/modules"
	install -m 755 "$source/init" "$tree/init"
	(cd "$tree" && find . | sort | cpio -o -H newc --quiet -R 0:0) \
		>"$work/initrd" || die "cpio failed"
	keep initrd "$initrd"
fi

bzimage=bzimage-$(digest "$(basename "$package")")
if [ ! -e "$cache/$bzimage" ]; then
	dpkg-deb --fsys-tarfile "$package" |
		tar -xO --wildcards './boot/vmlinuz-*' >"$work/bzimage" ||
		die "$package is damaged; remove it and run this again"
	keep bzimage "$bzimage"
fi

inspect=inspect-$(digest "$initrd" inspect)
if [ ! -e "$cache/$inspect" ]; then
	mkdir -p "$work/inspect"
	install -m 755 "$source/inspect" "$work/inspect/inspect"
	(cat "$cache/$initrd" && cd "$work/inspect" &&
		find . | cpio -o -H newc --quiet -R 0:0) \
		>"$work/inspect.img" || die "cpio failed"
	keep inspect.img "$inspect"
fi

# place PIECE NAME: a copy, so that whoever writes to it spoils no other.
place()
{
	touch "$cache/$1"
	cmp -s "$cache/$1" "$out/$2" && return
	cp "$cache/$1" "$out/.$2" || die "cannot write $out/$2"
	mv "$out/.$2" "$out/$2"
}

place "$kernel/vmlinuz" vmlinuz
touch "$cache/$kernel"
place "$bzimage" bzimage
place "$initrd" initrd.img
place "$inspect" inspect.img
place "$lesson" lesson.qcow2
# Others may be reading it.
echo "$cmdline" | cmp -s - "$out/cmdline" || echo "$cmdline" >"$out/cmdline"
printf '%s\n' "$out/vmlinuz" "$out/initrd.img" "$out/lesson.qcow2"
