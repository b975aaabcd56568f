# What `session render` writes, by ffprobe and ffmpeg: every format and codec
# out of the sandbox, a lossless one, one that is killed again and again.
. "$SRCDIR/tests/scenario/lib.sh"
tools=$BUILDDIR/tests/scenario

# A session with a film of boxes, 24 s of 25 frames a second, and a tone.
daemon_start || bail "the daemon did not start"
daemon_stop
session=$("$tools/film_session" "$state") || bail "there is no session"
daemon_start || bail "the daemon did not start"
folder=$(dirname "$(find "$state" -name wire.pcapng.zst)")

# probe FILE STREAM ENTRIES: of each stream of that kind.
probe()
{
	ffprobe -v error -select_streams "$2" -show_entries "stream=$3" \
		-of csv=p=0 "$1"
}
# frames FILE: time and kind of each video packet, in the order of time.
frames()
{
	ffprobe -v error -select_streams v \
		-show_entries packet=pts_time,flags -of csv=p=0 "$1" | sort -n
}
# keys_are_near FILE SECONDS: no key frame is farther from the last.
keys_are_near()
{
	frames "$1" | awk -F, -v most="$2" '
		/K/ { if (n++ && $1 - last > most + 0.1) bad = 1; last = $1 }
		END { print n, "key frames"; exit bad || n < 24 / most - 2 }'
}
# has FILE VIDEO PIXELS SOUND
has()
{
	[ "$(probe "$1" v codec_name,pix_fmt)" = "$2,$3" ] &&
		[ "$(probe "$1" a codec_name)" = "$4" ]
}
lasts()
{
	ffprobe -v error -show_entries format=duration -of csv=p=0 "$1" |
		awk '{ print; exit !($1 > 23.9 && $1 < 24.2) }'
}
tone_all_the_time()
{
	ffmpeg -v error -i "$1" -f s16le -ac 1 -ar 48000 - |
		"$tools/tone" 48000 1 | awk '{ print; heard += $2 - $1; n++ }
		END { exit !(n == 1 && heard > 23.8) }'
}
render()
{
	ctl session render "$session" "$@"
}

ok "the session's video is made" render -o "$work/own.mp4" --again
ok "it is H.264 with AAC" has "$work/own.mp4" h264 yuv420p aac
ok "of the session's length" lasts "$work/own.mp4"
ok "with key frames for seeking" keys_are_near "$work/own.mp4" 10
ok "its tone has no gap" tone_all_the_time "$work/own.mp4"
frames "$work/own.mp4" | cut -d, -f1 >"$work/times"
ok "it has a preview" test -s "$folder/thumbs.jpg" -a -s "$folder/thumbs.vtt"
ok "with a time for each picture" sh -c \
	"[ \$(grep -c '#xywh=' '$folder/thumbs.vtt') = 24 ]"

ok "a WebM file is made by its name" render -o "$work/a.webm" --key-seconds 2
ok "it is VP9 with Opus" has "$work/a.webm" vp9 yuv420p opus
ok "with key frames 2 s apart" keys_are_near "$work/a.webm" 2
ok "and the tone" tone_all_the_time "$work/a.webm"
ok "AV1 goes into it, too" render -o "$work/b.webm" --video av1
ok "it is" has "$work/b.webm" av1 yuv420p opus
ok "MP4 takes Opus" render -o "$work/c.mp4" --sound opus --crf 30 \
	--preset ultrafast
ok "it did" has "$work/c.mp4" h264 yuv420p opus
ok "and the tone is there" tone_all_the_time "$work/c.mp4"
same_times()
{
	frames "$1" | cut -d, -f1 | paste -d, "$work/times" - | awk -F, '
		function abs(x) { return x < 0 ? -x : x }
		abs($1 - $2) > 0.009 { bad = 1 }
		END { print NR, "frames"; exit bad || NR < 500 }'
}
ok "VP9 has the same frames" same_times "$work/a.webm"
ok "AV1 has the same frames" same_times "$work/b.webm"

# Without loss, every fifth second compared with the decoder's own picture.
same_pixels()
{
	for second in 3 8 13 18 23; do
		"$tools/spice_render" "$folder/wire.pcapng.zst" \
			"$work/then.ppm" "$second.019" || return 1
		ffmpeg -v error -y -copyts -i "$1" -vf \
			"select=lte(t\,$second.019)*gte(t\,$second)" \
			-fps_mode passthrough -update 1 -pix_fmt rgb24 \
			"$work/frame.ppm" || return 1
		compare -metric AE "$work/then.ppm" "$work/frame.ppm" null: ||
			return 1
	done
}
ok "a lossless one is made" render -o "$work/l.mp4" --lossless --sound none \
	--preset ultrafast
ok "it is RGB without sound" has "$work/l.mp4" h264 gbrp ""
ok "its pixels are the screen's" same_pixels "$work/l.mp4"

# What cannot be is said, and nothing is done.
# says TEXT COMMAND...
says()
{
	says_text=$1
	shift
	"$@" 2>&1 | tee "$work/says" | grep -qF "$says_text" ||
		{ cat "$work/says"; false; }
}
ok "H.264 in WebM is refused" says "h264 does not go into a webm file" \
	render -o "$work/x.webm" --video h264
ok "a lossless AV1 is refused" says "av1 cannot be lossless" \
	render -o "$work/x.mp4" --video av1 --lossless
ok "a session's video that browsers do not play is refused" \
	says "which every browser plays" render --video vp9
ok "a monitor that it never had is told" says "never had a monitor 7" \
	render -o "$work/x.mp4" --monitor 7
only_its_own()
{
	ls "$folder"
	[ "$(ls "$folder" | tr '\n' ' ')" = \
		"thumbs.jpg thumbs.vtt video.mp4 wire.pcapng.zst " ] &&
		cmp "$folder/video.mp4" "$work/own.mp4"
}
ok "nothing else is left, and its own video is the same" only_its_own

# Killed in the middle, by its own pid, and with the whole daemon.
job_pid()
{
	pgrep -f "^mediavmd job render .*--session $session" | head -1
}
half_done()
{
	[ "$(stat -c %s "$folder/video.partial" 2>/dev/null || echo 0)" -gt \
		"$1" ]
}
half=$(($(stat -c %s "$folder/video.mp4") / 4))
ok "it is made anew" render --again --no-wait --key-seconds 3
wait_for 60 half_done "$half"
killed=$(job_pid)
ok "its job is killed" kill -9 "${killed:?}"
wait_for 60 half_done $((half * 2))
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
ok "the daemon is killed, what is encoded is there" half_done "$half"
ok "the daemon starts" daemon_start
ready()
{
	ctl --json session show "$session" | jq -e '.video.state == "ready"'
}
ok "and makes it to the end" wait_for 120 ready
ok "of the session's length" lasts "$folder/video.mp4"
ok "with the same frames" same_times "$folder/video.mp4"
ok "key frames 3 s apart" keys_are_near "$folder/video.mp4" 3
ok "and a tone without a gap" tone_all_the_time "$folder/video.mp4"
ok "without what was for the next attempt" \
	test ! -e "$folder/video.partial"
ok "it is exported" ctl session export "$session" --video "$work/e.mp4"
ok "as it is" cmp "$work/e.mp4" "$folder/video.mp4"
finish
