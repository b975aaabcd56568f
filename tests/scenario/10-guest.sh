# The demo guest by itself, in plain QEMU: its player activates on the first
# run, plays on the same machine and on no other, and says what has changed.
# What it plays is readable from the pixels and from the sound.
. "$SRCDIR/tests/scenario/lib.sh"

# boot NAME DISK ARGUMENT...: runs the guest until it powers off. By default
# the machine of which the lesson is to know: board, MAC, disk, uuid and cpu
# may be set to others. The serial port goes to $work/NAME.
boot()
{
	boot_name=$1
	boot_disk=$2
	shift 2
	timeout 90 qemu-system-x86_64 -nodefaults -no-user-config \
		-display none -machine pc-q35-7.2 -accel tcg -smp 2 -m 512 \
		-cpu "${cpu:-Nehalem}" \
		-uuid "${uuid:-6d7c1a52-0f7b-4b8e-9d0a-3f2f6a1f5c11}" \
		-smbios type=1,manufacturer=Example,product=Vault,serial=S1 \
		-smbios "type=2,product=Board,serial=${board:-BOARD-1}" \
		-vga none -device qxl-vga \
		-drive "if=none,id=d,file=$boot_disk,format=qcow2$snapshot" \
		-device "ide-hd,drive=d,bus=ide.0,serial=${disk:-DISK-1}" \
		-device "e1000e,mac=${mac:-52:54:00:12:34:56}" \
		-device ich9-intel-hda -device hda-duplex,audiodev=a \
		-serial "file:$work/$boot_name" -no-reboot \
		-kernel "$kernel" -initrd "$initrd" \
		-append "$cmdline player.poweroff player.frames=60" \
		"$@" >"$work/$boot_name.qemu" 2>&1
}
snapshot=
no_sound='-audiodev none,id=a'

says()
{
	grep -a "^PLAYER $2" "$work/$1" || {
		cat "$work/$1" "$work/$1.qemu"
		return 1
	}
}

never_says()
{
	! grep -a "^PLAYER $2" "$work/$1"
}

# refuses NAME FIELD...: exactly these fields, and nothing is played.
refuses()
{
	refused_by=$1
	shift
	grep -a '^PLAYER refused field=' "$work/$refused_by"
	[ "$(sed -n 's/^PLAYER refused field=\([^ ]*\) .*/\1/p' \
		"$work/$refused_by" | tr '\n' ' ')" = "$* " ] &&
		says "$refused_by" 'refused$' &&
		never_says "$refused_by" playing
}

guest_build || bail "the guest could not be built"
qemu-img convert -O raw "$lesson" "$work/lesson.raw" ||
	bail "qemu-img cannot read $lesson"

# The content key as it is delivered (tests/guest/lesson_disk.h). It may hold
# any byte, and grep reads lines: ends of lines become zeros in both.
key=$(od -A n -t x1 -v -j 4112 -N 32 "$work/lesson.raw" | tr -d ' \n' |
	sed 's/../\\x&/g; s/\\x0a/\\x00/g')
holds_key()
{
	tr '\n' '\000' <"$1" | LC_ALL=C grep -qaP "$key"
}
pieces_are_noise()
{
	# Plain sound or pictures would be packed to much less.
	tail -c +65537 "$work/lesson.raw" | head -c 16000000 >"$work/pieces"
	packed=$(zstd -q -c "$work/pieces" | wc -c)
	echo "$packed of 16000000"
	[ "$packed" -gt 15990000 ]
}
ok "the lesson's disk holds no picture in the clear" \
	sh -c "! LC_ALL=C grep -qa JFIF '$work/lesson.raw'"
ok "nor anything else that could be packed" pieces_are_noise
ok "and the one-time licence" holds_key "$work/lesson.raw"

# The first run, with a look at its screen half-way.
qemu-img create -q -f qcow2 -b "$lesson" -F qcow2 "$work/disk.qcow2"
mkfifo "$work/monitor"
exec 3<>"$work/monitor"
boot first "$work/disk.qcow2" -audiodev "wav,id=a,path=$work/sound.wav" \
	-monitor stdio <"$work/monitor" &
first=$!
wait_for 60 grep -qa '^PLAYER playing frame=2' "$work/first"
echo "screendump $work/screen.ppm" >&3
wait $first
exec 3>&-
ok "the first run activates" says first activated
ok "and plays" says first 'playing frame=0'
ok "to the end" says first 'finished frame=59'
ok "the frame's number can be read from the screen" \
	frame_in "$work/screen.ppm"
ffmpeg -v error -i "$work/sound.wav" -f s16le -ac 1 -ar 48000 - \
	>"$work/sound.pcm" 2>"$work/ffmpeg.log"
ok "the tone can be heard" \
	sh -c "'$BUILDDIR/tests/scenario/tone' 48000 1 <'$work/sound.pcm'"

# A copy of the activated disk, by itself.
qemu-img convert -O qcow2 "$work/disk.qcow2" "$work/copy.qcow2"
qemu-img convert -O raw "$work/copy.qcow2" "$work/copy.raw"
no_key()
{
	! holds_key "$work/copy.raw"
}
ok "the key is nowhere on the disk any more" no_key

# Two at a time on two processors; the disk stays as it is.
snapshot=,snapshot=on
(board=BOARD-2 && boot board "$work/disk.qcow2" $no_sound) &
(mac=52:54:00:12:34:57 && boot mac "$work/disk.qcow2" $no_sound)
wait $!
(disk=DISK-2 && boot disk "$work/disk.qcow2" $no_sound) &
(
	uuid=0b0e8a1c-7a39-4f0e-8d39-6f6f4f3b9a02 cpu=Westmere board=OTHER
	mac=52:54:00:00:00:01 disk=OTHER
	boot other "$work/copy.qcow2" $no_sound
)
wait $!
ok "another board serial is refused, by its name" refuses board board-serial
ok "another MAC is" refuses mac mac
ok "another disk serial is" refuses disk disk-serial
ok "a copy in another machine is refused, with all that differs" \
	refuses other system-uuid board-serial cpu-signature cpu-brand \
	disk-serial mac
snapshot=
boot second "$work/disk.qcow2" $no_sound
ok "the first machine still plays" says second 'playing frame=0'
ok "without a second activation" never_says second activated
finish
