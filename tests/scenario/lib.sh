# lib.sh - what the scenarios share: TAP, a daemon on folders of its own, the
# demo guest, an X server. A scenario begins with
#
#   . "$SRCDIR/tests/scenario/lib.sh"
#
# and ends with `finish`. Everything is cleaned up when it exits.
set -u
: "${SRCDIR:?run it through make check}" "${BUILDDIR:?}"
if [ -z "${REAPED:-}" ]; then
	export REAPED=1
	exec "$BUILDDIR/tests/scenario/reaper" sh "$0" "$@"
fi

tap_count=0
tap_failed=0

# ok TEXT COMMAND...: one line of TAP.
ok()
{
	tap_text=$1
	shift
	tap_count=$((tap_count + 1))
	if "$@" >"$work/ok.out" 2>&1; then
		echo "ok $tap_count - $tap_text"
		return 0
	fi
	echo "not ok $tap_count - $tap_text"
	echo "# failed: $*"
	sed 's/^/# /' "$work/ok.out" | tail -20
	tap_failed=$((tap_failed + 1))
	return 1
}

skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# Ends the scenario: nothing after it could work.
bail()
{
	tap_count=$((tap_count + 1))
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_count - $*"
	daemon_log
	finish
}

finish()
{
	[ "$tap_failed" = 0 ] || daemon_log
	echo "1..$tap_count"
	[ "$tap_failed" = 0 ]
	exit
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for()
{
	wait_end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$wait_end" ] || return 1
		sleep 0.1
	done
}

# A short path: it holds sockets.
work=$(mktemp -d /tmp/mvm.XXXXXX) || exit 1
chmod 755 "$work"
state=$work/state
run=$work/run
config=$work/mediavmd.conf
on_host= # a command in front of the daemon's; see lib_keep.sh
cleanup_pids=
daemon_pid=

# sanitized: this build has a sanitizer.
sanitized()
{
	grep '^SANITIZE = [a-z]' "$BUILDDIR/Makefile"
}
# How many times as long a client stays that is to see something.
patience=1
! sanitized >/dev/null || patience=4

# ask_to_end: leaks are looked for in what ends by itself.
ask_to_end()
{
	for pid in $(pgrep -f "mediavmd .*$work"); do
		kill "$pid" 2>/dev/null
	done
}
nothing_of_ours()
{
	! pgrep -f "mediavmd .*$work"
}

cleanup()
{
	trap - EXIT INT TERM HUP
	for pid in $cleanup_pids; do
		kill "$pid" 2>/dev/null
	done
	if sanitized >/dev/null; then
		ask_to_end
		wait_for 10 nothing_of_ours
	fi
	[ -z "$daemon_pid" ] || kill -9 "$daemon_pid" 2>/dev/null
	# Guests, gateway and jobs outlive the daemon; find them by our folder.
	for pid in $(pgrep -f "$work" 2>/dev/null); do
		[ "$pid" = $$ ] || kill -9 "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

daemon_log()
{
	[ -f "$work/daemon.log" ] || return 0
	echo "# last lines of the daemon:"
	tail -40 "$work/daemon.log" | sed 's/^/#   /'
}

# daemon_config KEY-LINES: the configuration; free ports on loopback.
daemon_config()
{
	cat >"$config" <<-END
	[gateway]
	address = 127.0.0.1
	host = 127.0.0.1
	port = 0
	[http]
	port = 0
	[daemon]
	registry = $work/registry
	END
	printf '%s\n' "$@" >>"$config"
}

# daemon_start: mediavmd on $state and $run; $as_user runs it as that user.
daemon_start()
{
	[ -f "$config" ] || daemon_config
	if [ -n "${as_user:-}" ]; then
		chown "$as_user" "$work"
		setsid runuser -u "$as_user" -- "$BUILDDIR/mediavmd" \
			--config "$config" \
			--state "$state" --run "$run" \
			>>"$work/daemon.log" 2>&1 &
		daemon_pid=$!
	else
		setsid $on_host "$BUILDDIR/mediavmd" --config "$config" \
			--state "$state" --run "$run" \
			>>"$work/daemon.log" 2>&1 &
		daemon_pid=$!
	fi
	wait_for 30 ctl status
}

daemon_stop()
{
	kill "$daemon_pid" 2>/dev/null
	wait "$daemon_pid" 2>/dev/null
	daemon_pid=
}

ctl()
{
	"$BUILDDIR/mediavmctl" --socket "$run/api.sock" "$@"
}

# is_refused TEXT COMMAND...: it fails, with one line that says so.
is_refused()
{
	refusal=$1
	shift
	! "$@" >"$work/refused" 2>&1 && cat "$work/refused" &&
		[ "$(wc -l <"$work/refused")" = 1 ] &&
		grep -q -e "$refusal" "$work/refused"
}

# json EXPRESSION COMMAND...: what jq makes of its output.
json()
{
	json_expression=$1
	shift
	"$@" | jq -r "$json_expression"
}

# The demo guest: sets kernel, initrd, lesson, cmdline.
guest_build()
{
	guest=$BUILDDIR/tests/guest
	sh "$SRCDIR/tests/guest/build.sh" >"$work/guest.log" 2>&1 || {
		sed 's/^/# /' "$work/guest.log" | tail -5
		return 1
	}
	kernel=$guest/vmlinuz
	initrd=$guest/initrd.img
	lesson=$guest/lesson.qcow2
	cmdline=$(cat "$guest/cmdline")
}

# vault_create NAME [EXTRA-CMDLINE]: a vault that holds the demo guest.
vault_create()
{
	cp "$lesson" "$work/$1.qcow2"
	chmod 644 "$work/$1.qcow2"
	ctl vault create "$1" --memory 512M --cpus 2 \
		--disk "$work/$1.qcow2" --kernel "$kernel" \
		--initrd "$initrd" --cmdline "$cmdline${2:+ $2}"
}

# serial NAME: what the guest wrote to its serial port.
serial()
{
	cat "$state/vaults/$(ctl --json vault show "$1" | jq -r .uuid)/serial.log"
}

serial_says()
{
	serial "$1" | grep -a "$2"
}

# guest_pid NAME: the QEMU of a vault of ours.
guest_pid()
{
	pgrep -f "guest=$1,.*$work"
}

# x_start: an X server of our own with a window manager; sets DISPLAY.
x_start()
{
	Xvfb -displayfd 3 -screen 0 "${screen:-1280x1024x24}" -nolisten tcp \
		3>"$work/display" >"$work/xvfb.log" 2>&1 &
	cleanup_pids="$cleanup_pids $!"
	wait_for 20 test -s "$work/display" || return 1
	DISPLAY=:$(cat "$work/display")
	export DISPLAY
	openbox >"$work/openbox.log" 2>&1 &
	cleanup_pids="$cleanup_pids $!"
}

# frame_in PICTURE: the lesson's frame number can be read from it.
frame_in()
{
	frame_size=$(identify -format '%w %h' "$1") &&
		convert "$1" -depth 8 rgb:- |
		"$BUILDDIR/tests/scenario/frame_numbers" ${frame_size}
}

# numbers_rise VIDEO: its frames carry the lesson's numbers, rising (and after
# the lesson's last, number 599, from the beginning again).
numbers_rise()
{
	ffmpeg -v error -i "$1" -f rawvideo -pix_fmt rgb24 - |
		"$BUILDDIR/tests/scenario/frame_numbers" 1024 768 |
		awk '$2 == "-" { next }
		seen && $2 < last && !(last > 550 && $2 < 50) {
			print $2 " comes after " last; bad = 1 }
		!seen || $2 != last { n++ }
		{ last = $2; seen = 1 }
		END { print n + 0 " different numbers"
			exit bad || n < 50 }'
}

# tone_heard VIDEO: its sound has the lesson's tone, for three seconds at least.
tone_heard()
{
	ffmpeg -v error -i "$1" -f s16le -ac 1 -ar 48000 - |
		"$BUILDDIR/tests/scenario/tone" 48000 1 |
		awk '{ heard += $2 - $1 } END { print heard + 0 " s"
			exit heard < 3 }'
}
