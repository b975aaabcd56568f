# A capture by itself: a relay records a real client at a real QEMU; zstd,
# tshark and our own tools read it, also when it has been cut; its wire replay
# shows a second client the same picture.
. "$SRCDIR/tests/scenario/lib.sh"
tools=$BUILDDIR/tests/scenario
port=$((20000 + $$ % 20000))
capture=$work/wire.pcapng.zst

# Listens on the loopback? Without connecting, which would be a client.
listens()
{
	ss -lntH "sport = :$1" | grep -q "127.0.0.1:$1"
}

# The firmware's text screen, which stands still when it is done.
timeout 120 qemu-system-x86_64 -name capture -accel tcg -m 64 -nodefaults \
	-vga qxl -spice "addr=127.0.0.1,port=$port,disable-ticketing=on" \
	>"$work/qemu.log" 2>&1 &
cleanup_pids="$cleanup_pids $!"
ok "a guest is there" wait_for 20 listens "$port" || finish
sleep 3

"$tools/spice_record" $((port + 1)) "$port" "$capture" \
	>"$work/record.log" 2>&1 &
recorder=$!
cleanup_pids="$cleanup_pids $recorder"
wait_for 10 listens $((port + 1))
ok "a client sees it through the recorder" timeout 30 spicy-screenshot \
	-h 127.0.0.1 -p $((port + 1)) -o "$work/live.ppm"
kill "$recorder" 2>/dev/null
wait "$recorder" 2>/dev/null

ok "zstd reads the capture" zstd -q -t "$capture"
"$tools/capture_tool" export "$capture" >"$work/plain.pcapng"
same_as_zstd()
{
	zstd -q -dc "$capture" | cmp - "$work/plain.pcapng"
}
ok "plain, it is what zstd unpacks" same_as_zstd
ok "it is exported for tshark" sh -c \
	"'$tools/capture_tool' export '$capture' tshark >'$work/t.pcapng'"
tshark -r "$work/t.pcapng" -V >"$work/tshark.txt" 2>"$work/tshark.err"
for name in 'Channel type: Main' 'Channel type: Display' \
	'CHANNELS_LIST' 'SURFACE_CREATE' 'DRAW_COPY' 'MARK' 'PONG'; do
	ok "tshark names $name" grep -qi "$name" "$work/tshark.txt"
done
in_step()
{
	! grep -Ei 'malformed|unknown (message|client|server)|retransmission|previous segment|out-of-order' \
		"$work/tshark.txt"
}
ok "and keeps in step" in_step
ok "statistics count its messages" sh -c \
	"'$tools/capture_tool' stats '$capture' | jq -e '.complete and
	([.channels[] | select(.type == \"display\")][0].to_client
	.draw_copy.messages > 0)'"

head -c $(($(stat -c %s "$capture") - 500)) "$capture" >"$work/cut.zst"
ok "cut, it is read up to the cut" sh -c \
	"'$tools/capture_tool' stats '$work/cut.zst' |
	jq -e '(.complete | not) and (has(\"damage\") | not)'"

"$tools/capture_tool" replay "$capture" $((port + 2)) \
	>"$work/replay.log" 2>&1 &
replay=$!
cleanup_pids="$cleanup_pids $replay"
wait_for 10 listens $((port + 2))
ok "a client sees its replay" timeout 30 spicy-screenshot \
	-h 127.0.0.1 -p $((port + 2)) -o "$work/replay.ppm"
ok "it is the same picture" cmp "$work/live.ppm" "$work/replay.ppm"
colours()
{
	[ "$(identify -format %k "$work/replay.ppm")" -gt 1 ]
}
ok "and not an empty one" colours
ended()
{
	wait "$replay"
}
ok "the replay ends with its client" ended
finish
