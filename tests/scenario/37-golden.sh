# Golden captures: what `session dump`, `session export --stats` and the decoder
# make of each is what is written down in tests/golden. With WRITE=1 (make
# golden) that is written anew.
. "$SRCDIR/tests/scenario/lib.sh"
golden=$SRCDIR/tests/golden
export COLUMNS=100 LC_ALL=C.UTF-8

# The capture as the flags of its line want it: sets $capture.
prepare()
{
	capture=$work/$1
	cp "$golden/$1" "$capture"
	chmod 644 "$capture"
	shift
	for flag; do
		case $flag in
		cut=*)
			truncate -s "-${flag#cut=}" "$capture"
			;;
		flip=*)
			byte=$(od -An -tu1 -j "${flag#flip=}" -N 1 "$capture")
			# shellcheck disable=SC2059
			printf "\\$(printf %o $((byte ^ 255)))" |
				dd of="$capture" bs=1 conv=notrunc status=none \
					seek="${flag#flip=}"
			;;
		esac
	done
}

# look CAPTURE FLAG...: all that is wanted, on stdout.
look()
{
	prepare "$@"
	shift
	what=
	options=
	for flag; do
		case $flag in
		dump | stats | decode) what="$what $flag" ;;
		--*) options="$options $flag" ;;
		esac
	done
	for each in ${what:-dump stats decode}; do
		echo "== $each"
		case $each in
		dump)
			# shellcheck disable=SC2086
			ctl session dump $options "$capture"
			;;
		stats) ctl session export --stats "$capture" ;;
		decode) "$BUILDDIR/tests/scenario/golden" "$capture" ;;
		esac || echo "failed: $?"
	done
}

same()
{
	name=$1
	shift
	look "$@" >"$work/is" 2>"$work/is.err"
	if [ -n "${WRITE:-}" ]; then
		cp "$work/is" "$golden/$name.txt"
		return
	fi
	diff -u "$golden/$name.txt" "$work/is" || {
		cat "$work/is.err"
		return 1
	}
}

sed -e 's/#.*//' -e '/^ *$/d' "$golden/LIST" >"$work/list"
while read -r name flags; do
	# shellcheck disable=SC2086
	ok "$name" same "$name" $flags
done <"$work/list"
all_listed()
{
	for file in "$golden"/*.zst; do
		grep -q " ${file##*/}" "$work/list" || {
			echo "${file##*/} is in no line"
			return 1
		}
	done
}
ok "all captures are in the list" all_listed
small()
{
	[ "$(cat "$golden"/*.zst | wc -c)" -lt 1000000 ]
}
ok "together they are less than 1 MB" small

# The picture is the same, however the images came.
picture()
{
	sed -n 's/^screen //p' "$golden/$1.txt"
}
for name in quic lz glz zlib-glz lz4; do
	ok "$name shows what bitmap shows" \
		test "$(picture $name)" = "$(picture bitmap)"
done

# session frame: the PNG has the very pixels.
frame()
{
	ctl session frame "$golden/quic.pcapng.zst" "$@" -o "$work/f.png" &&
		[ "$(identify -format '%m %wx%h' "$work/f.png")" = \
			"PNG 128x96" ]
}
ok "a frame at the end" frame
pixels()
{
	[ "128x96 $(convert "$work/f.png" rgb:- | sha256sum | cut -d' ' -f1)" = \
		"$(picture quic)" ]
}
ok "has the decoder's pixels" pixels
ok "another earlier" frame --at 0.8
earlier()
{
	! pixels
}
ok "has others" earlier
ok "by hours, minutes and seconds" frame --at 00:00:05.5 --no-cursor
standard_output()
{
	ctl session frame "$golden/quic.pcapng.zst" -o - | identify - |
		grep -q 'PNG 128x96'
}
ok "on the standard output" standard_output
nothing_yet()
{
	! ctl session frame "$golden/quic.pcapng.zst" --at 0 \
		-o "$work/none.png" 2>"$work/err" &&
		[ ! -e "$work/none.png" ] && grep 'no picture' "$work/err"
}
ok "an error and no file before there is a picture" nothing_yet
ok "one monitor of two" sh -c "
	'$BUILDDIR/mediavmctl' session frame '$golden/heads.pcapng.zst' \
		--monitor 2 -o '$work/f.png' &&
	[ \"\$(identify -format %wx%h '$work/f.png')\" = 64x96 ]"
no_monitor()
{
	! ctl session frame "$golden/heads.pcapng.zst" --monitor 3 \
		-o "$work/none.png"
}
ok "no third" no_monitor
is_json()
{
	ctl --json session dump "$golden/draw.pcapng.zst" | jq -e '
		.end == "complete" and .count == (.messages | length)'
}
ok "a dump as JSON" is_json
finish
