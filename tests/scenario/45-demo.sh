# make demo ONCE=1, as the README has it: it ends by itself with a video that
# carries the guest's frame numbers, rising, and its tone, and leaves nothing
# running.
. "$SRCDIR/tests/scenario/lib.sh"

demo()
{
	MAKEFLAGS='' make -C "$BUILDDIR" demo ONCE=1 >"$work/demo.log" 2>&1
	demo_status=$?
	tail -5 "$work/demo.log"
	return $demo_status
}
video=$BUILDDIR/demo/session.mp4
rm -f "$video"
ok "it ends well" demo || finish
ok "it prints where the video is" grep -q "video  *$video" "$work/demo.log"
ok "and the address of the page" \
	grep -q 'page  *http://127.0.0.1:[0-9]*/login' "$work/demo.log"
ok "the video's frames carry the guest's numbers, rising" numbers_rise "$video"
ok "its sound has the guest's tone" tone_heard "$video"
nothing_left()
{
	demo_state=$(sed -n 's/.*starting mediavmd (state \(.*\)).*/\1/p' \
		"$work/demo.log")
	[ -n "$demo_state" ] && ! pgrep -f "$demo_state" &&
		[ ! -e "$demo_state" ]
}
ok "nothing of it is left" wait_for 5 nothing_left
finish
