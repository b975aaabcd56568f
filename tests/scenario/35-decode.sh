# The decoder on a real guest: what a client saw of the demo guest is rendered;
# its last picture is QEMU's own screenshot, pixel by pixel, and its video has
# the lesson's frame numbers in order and its tone.
. "$SRCDIR/tests/scenario/lib.sh"
tools=$BUILDDIR/tests/scenario
port=$((20000 + $$ % 20000))
capture=$work/wire.pcapng.zst

listens()
{
	ss -lntH "sport = :$1" | grep -q "127.0.0.1:$1"
}

ok "the guest is built" guest_build || finish
ok "an X server runs" x_start || finish
qemu-img create -q -f qcow2 -F qcow2 -b "$lesson" "$work/disk.qcow2"
mkfifo "$work/monitor"
timeout 300 qemu-system-x86_64 -name decode -accel tcg -machine q35 -m 512 \
	-display none -device qxl-vga -kernel "$kernel" -initrd "$initrd" \
	-append "$cmdline player.frames=100 player.once" \
	-drive "file=$work/disk.qcow2,if=none,id=disk" -device ahci,id=ahci \
	-device ide-hd,drive=disk,bus=ahci.0,serial=DECODE \
	-audiodev spice,id=audio -device intel-hda \
	-device hda-output,audiodev=audio \
	-device qemu-xhci -device usb-tablet \
	-spice "addr=127.0.0.1,port=$port,disable-ticketing=on,streaming-video=filter" \
	-serial "file:$work/serial" -monitor stdio \
	<>"$work/monitor" >"$work/qemu.log" 2>&1 &
cleanup_pids="$cleanup_pids $!"
wait_for 20 listens "$port"
"$tools/spice_record" $((port + 1)) "$port" "$capture" \
	>"$work/record.log" 2>&1 &
recorder=$!
cleanup_pids="$cleanup_pids $recorder"
wait_for 10 listens $((port + 1))
timeout 300 spicy -h 127.0.0.1 -p $((port + 1)) >"$work/spicy.log" 2>&1 &
cleanup_pids="$cleanup_pids $!"

ok "the lesson is played" wait_for 120 \
	grep -a 'PLAYER finished' "$work/serial"
# The server ends the stream and sends what is there without loss.
sleep 4
printf 'screendump %s\nstop\n' "$work/qemu.ppm" >"$work/monitor"
ok "QEMU makes a screenshot" wait_for 20 test -s "$work/qemu.ppm"
sleep 1
kill "$recorder" 2>/dev/null
wait "$recorder" 2>/dev/null

# The guest's clock may have moved on between screenshot and stop.
same_picture()
{
	"$tools/spice_render" "$capture" "$work/last.ppm" || return 1
	! cmp -s "$work/qemu.ppm" "$work/last.ppm" || return 0
	end=$(sed -n 's/^duration \([0-9]*\).*/\1/p' "$work/render")
	for back in 0 1 2 3 4; do
		for tenth in 8 6 4 2 0; do
			"$tools/spice_render" "$capture" "$work/then.ppm" \
				"$((end - back)).$tenth" || return 1
			! cmp -s "$work/qemu.ppm" "$work/then.ppm" || return 0
		done
	done
	compare -metric AE "$work/qemu.ppm" "$work/last.ppm" null:
	return 1
}
ok "the session is rendered" sh -c \
	"'$tools/spice_render' '$capture' '$work/video.mp4' >'$work/render'"
ok "with nothing left out or damaged" sh -c \
	"[ \"\$(grep -cxE '(undrawn|damaged|missing) 0' '$work/render')\" = 3 ]"
ok "as a stream and as images" sh -c \
	"grep -q '^message stream_data' '$work/render' &&
	grep -q '^image quic' '$work/render'"
ok "its last picture is QEMU's screenshot" same_picture

ffmpeg -v error -i "$work/video.mp4" -fps_mode passthrough -f rawvideo \
	-pix_fmt rgb24 - 2>"$work/ffmpeg.err" |
	"$tools/frame_numbers" 1024 768 >"$work/numbers"
rising()
{
	awk '$2 != "-" { n++; if ($2 < last) bad++; last = $2 }
		END { print n, "frames,", bad + 0, "backwards"
			exit !(n >= 50 && !bad) }' "$work/numbers"
}
ok "the video shows the lesson's frames in their order" rising
heard()
{
	ffmpeg -v error -i "$work/video.mp4" -f s16le -ar 48000 -ac 1 - |
		"$tools/tone" 48000 1
}
ok "and sounds its tone" heard
finish
