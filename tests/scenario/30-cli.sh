# The command line against a real daemon on folders of its own: exit statuses,
# one line for an error, exactly one JSON value with --json, and its shapes.
. "$SRCDIR/tests/scenario/lib.sh"

# exits STATUS COMMAND...: ends so; an error is one line on stderr alone.
exits()
{
	exits_wanted=$1
	shift
	"$@" >"$work/out" 2>"$work/err"
	exits_status=$?
	cat "$work/out" "$work/err"
	[ "$exits_status" = "$exits_wanted" ] || {
		echo "exit status $exits_status"
		return 1
	}
	[ "$exits_wanted" = 0 ] ||
		[ ! -s "$work/out" -a "$(wc -l <"$work/err")" = 1 ]
}

# fails STATUS EXPRESSION COMMAND...: ends so, one line on stderr, and stdout is
# one JSON value for which this holds.
fails()
{
	fails_wanted=$1
	fails_expression=$2
	shift 2
	"$@" >"$work/json" 2>"$work/err"
	fails_status=$?
	cat "$work/json" "$work/err"
	[ "$fails_status" = "$fails_wanted" ] &&
		[ "$(wc -l <"$work/err")" = 1 ] &&
		jq -e -s "length == 1 and (.[0] | $fails_expression)" \
			"$work/json"
}

# answers EXPRESSION COMMAND...: one JSON value, for which this holds.
answers()
{
	answers_expression=$1
	shift
	"$@" >"$work/json" || return 1
	cat "$work/json"
	[ "$(wc -l <"$work/json")" = 1 ] &&
		jq -e -s "length == 1 and (.[0] | $answers_expression)" \
			"$work/json"
}

# Without a daemon.
mkdir -p "$run"
ok "no daemon: said so in one line" exits 1 ctl status
ok "and what to do" grep -q 'start it' "$work/err"
ok "as JSON, too" fails 1 '.error | test("start it")' ctl --json status
ok "and for wrong words" fails 2 .error ctl fly --json
ok "one that stdout would mix" fails 2 .error \
	ctl session frame x --json -o -
ok "a usage needs no daemon" exits 0 ctl help
ok "nor does help for a command" exits 0 ctl vault create --help
for words in "" "vault" "vault fly" "fly" "vault start" "vault start a b" \
	"--fly" "status --fly" "vault list --socket" "vault policy a b" \
	"session export x" "session export x --stats --video f" \
	"vault create a --disk-size much" "vault create a --cpus two" \
	"vault create a --disk x --disk-size 1G" "replay x --speed no" \
	"replay x --mode dance" "vault stop a --force=yes" \
	"session render x -o f --no-wait" "session dump" \
	"session dump x --channel dance" "session dump x --from later" \
	"session frame x" "session frame x -o f --at never" \
	"session frame x -o f --monitor 0" \
	"session export ./x --pcapng f"; do
	# shellcheck disable=SC2086
	ok "wrong usage: mediavmctl $words" exits 2 ctl $words
done
ok "a capture that is not there" exits 1 ctl session dump ./none.zst
printf 'no capture' >"$work/none.zst"
ok "a file that is no capture" exits 1 ctl session export --stats "$work/none.zst"
ok "it is said in one line" test "$(wc -l <"$work/err")" = 1
latin=$(printf '\377.qcow2')
ok "what is not UTF-8 is no word" exits 2 ctl vault create x --disk "$latin"
for line in '[libvirt]:accelerator = xen' '[libvirt]:lock-manager = none' \
	'[verify]:hours = 25-99' '[http]:port = x' 'garbage:'; do
	echo "$line" | tr : '\n' >"$work/check.conf"
	ok "config check: $line" fails 1 .error \
		ctl --json config check "$work/check.conf"
done
ok "config check of a folder" exits 1 ctl config check "$work"
daemon_config
ok "of a file that is right" answers .ok ctl --json config check "$config"
unknown_option()
{
	"$BUILDDIR/mediavmd" --fly 2>"$work/err"
	[ $? = 2 ] && [ "$(wc -l <"$work/err")" = 1 ]
}
ok "an unknown option of the daemon: one line" unknown_option
ok "no browser view in this build" exits 1 ctl connect a --browser
ok "no screen replay in this build" exits 1 ctl replay a --mode screen

daemon_start || bail "the daemon did not start"
ok "status" exits 0 ctl status
ok "status as JSON" answers '.version and .started_at and .gateway.running
	and (.accelerator | .kind and .why) and .space.free > 0' \
	ctl --json status
ok "doctor as JSON" answers '.ok and (.checks | length) > 3 and
	all(.checks[]; .name and .text and
		(.status | IN("ok", "warning", "failed")))' ctl --json doctor
ok "no vaults: an empty list" answers '. == []' ctl --json vault list
ok "no sessions: an empty list" answers '. == []' ctl session list --json
ok "a name that is none" exits 1 ctl vault create 'bad name'
long=$(printf '%0300d' 0)
for name in '' . .. a/b "$long"; do
	for verb in show stop policy bundle delete; do
		ok "vault $verb of '$name'" exits 1 ctl vault $verb "$name"
		ok "is told as a name" grep -q -e 'there is no vault' \
			-e 'is no name' "$work/err"
	done
done
ok "a memory of nothing" exits 1 ctl vault create a --memory 0
ok "a disk of nothing" exits 1 ctl vault create a --disk-size 0
ok "an empty path" exits 1 ctl vault create a --disk ''
ok "a processor that is none" exits 1 ctl vault create a --disk-size 1M \
	--cpu none
ok "none of them is there" answers '. == []' ctl --json vault list
ok "a disk that is not there" exits 1 ctl vault create a --disk none.qcow2
ok "it is named by its whole path" grep -qF "$(pwd)/none.qcow2" "$work/err"

cd "$work" || exit 1
truncate -s 64M disk.raw
ok "a vault of a relative path" answers '.name == "a" and .state == "stopped"
	and .memory == 268435456 and .cpus == 1 and .sessions_live == 0 and
	.identity.sealed == false and .identity.drift == [] and
	.policy.record == "required" and .uuid and .disk.virtual_size > 0' \
	ctl --json vault create a --memory 256M --cpus=1 --disk disk.raw
ok "the same name again" exits 1 ctl vault create a --disk-size 64M
ok "list" exits 0 ctl vault list
ok "it has the vault" grep -q '^a  *stopped' "$work/out"
ok "list as JSON" answers 'length == 1 and .[0].name == "a"' \
	ctl --json vault list
ok "a refusal as JSON" fails 1 '.error | test("already")' \
	ctl --json vault create a --disk-size 64M
ok "a job that fails, as JSON" fails 1 '.state == "failed" and .error' \
	ctl --json vault export a none/a.mvault
ok "an export to nowhere" exits 1 ctl vault export a ''
ok "a folder for a password" exits 1 ctl vault attach b \
	--spice unix:none.sock --password-file .
ok "is told" grep -q 'Is a directory' "$work/err"
ok "a socket as seen from here" exits 1 ctl vault attach b --spice unix:none.sock
ok "is named by its whole path" grep -qF "$work/none.sock" "$work/err"
ended()
{
	"$BUILDDIR/mediavmctl" --socket "$run/api.sock" \
		vault identity a --raw half >/dev/null 2>&1 &
	wait_for 10 sh -c "ls '$work'/half.*" && kill "$!" || return 1
	wait "$!"
	[ $? = 143 ] && ! ls "$work"/half*
}
ok "a command that is ended leaves no half of a file" ended
ok "and can be given again" wait_for 30 ctl vault identity a --raw half
ok "show" exits 0 ctl vault show a
ok "show as JSON" answers '.created_at | test("^20..-..-..T..:..:...*Z$")' \
	ctl --json vault show a
ok "a vault that is not there" exits 1 ctl vault show b
ok "a name that would be a path" exits 1 ctl vault show ../a
ok "a ticket for a stopped vault" exits 1 ctl connect a --vv x.vv
ok "no file is left by it" test ! -e x.vv

policies=$(grep -c '^POLICY_' "$SRCDIR/schema/policy_keys.h")
ok "policy" answers "length == $policies"' and .usb == "off"' ctl --json vault policy a
ok "a policy is changed" answers '.usb == "on" and .viewers == "2"' \
	ctl --json vault policy a usb=on viewers=2
ok "a wrong key changes nothing" exits 1 ctl vault policy a usb=off colour=red
ok "nor does a wrong value" exits 1 ctl vault policy a usb=off viewers=99
ok "it is as it was" answers '.usb == "on" and .viewers == "2"' \
	ctl --json vault policy a

ctl --json events --follow >follow 2>/dev/null &
follower=$!
cleanup_pids="$cleanup_pids $follower"
ok "start" exits 0 ctl vault start a
ok "start again" exits 1 ctl vault start a
ok "delete while it runs" exits 1 ctl vault delete a
followed()
{
	jq -e -s 'any(.type == "vault.state" and .state == "running") and
		any(.type == "vault.created")' follow
}
ok "events --follow shows old and new ones, one a line" \
	wait_for 10 followed
ok "it goes on" kill "$follower"

ok "connect as JSON" answers 'keys == ["expires_at", "host", "tls_port", "vv"]
	and .vv == "a.vv" and .host == "127.0.0.1" and .tls_port > 0 and
	(.expires_at | test("^20.*Z$"))' ctl --json connect a --vv a.vv
ok "the file is private" sh -c '[ "$(stat -c %a a.vv)" = 600 ]'
ok "and is a viewer's file" grep -q '^\[virt-viewer\]' a.vv
ok "without a file its text is in the JSON" \
	answers '.vv | startswith("[virt-viewer]")' ctl --json connect a
ctl connect a --vv - >stdout.vv
ok "- is stdout" grep -q '^password=' stdout.vv
tickets_differ()
{
	[ "$(grep -h '^password=' a.vv stdout.vv | sort -u | wc -l)" = 2 ]
}
ok "each has a ticket of its own" tickets_differ
ok "a folder that cannot be written" exits 1 ctl connect a --vv none/a.vv
no_display()
(
	unset DISPLAY WAYLAND_DISPLAY
	exits 1 ctl connect a
)
ok "no display: a viewer is not started" no_display

ok "a session that is not there" exits 1 ctl session show none
ok "nor its video" exits 1 ctl session export none --video x.mp4
ok "no file is left by that either" test ! -e x.mp4
ok "since a time" answers '. == []' ctl --json session list --since 7d
ok "since no time" exits 1 ctl session list --since tomorrow
ok "events as JSON" answers 'any(.type == "ticket.made" and .vault == "a") and
	(map(.seq) | . == sort) and all(.at | test("Z$"))' ctl --json events
ok "events of a type" answers 'length == 1 and .[0].type == "vault.created"' \
	ctl --json events --type vault.created

link=$(ctl ui --print)
opens()
{
	[ "$(curl -s -o "$work/page" -w '%{http_code}' "$link")" = "$1" ]
}
ok "the login link opens the page" opens 303
ok "and only once" opens 403
ok "its page says what to do" grep -q 'mediavmctl ui' "$work/page"
page=${link%/login*}
ok "without a cookie there is no API" \
	sh -c "curl -s '$page/api/v1/vaults' | grep -q 'not logged in'"
ok "healthz is open" sh -c "curl -sf '$page/healthz' | grep -q ok"
ok "metrics are open on loopback" \
	sh -c "curl -sf '$page/metrics' | grep -q '^mediavm_'"
rebound()
{
	[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: evil.example' \
		"$page/healthz")" = 403 ]
}
ok "another host name is refused" rebound
if [ "$(id -u)" = 0 ] && command -v runuser >/dev/null; then
	cp "$BUILDDIR/mediavmctl" "$work/ctl" && chmod 755 "$work/ctl"
	ok "another user is refused" exits 1 runuser -u nobody -- \
		"$work/ctl" --socket "$run/api.sock" status
else
	skip "another user is refused" "not run by root"
fi

ok "stop by force" exits 0 ctl vault stop a --force
ok "it is stopped" answers '.state == "stopped"' ctl --json vault show a
rm "$(ctl --json vault show a | jq -r .disk.path)"
lost_disk()
{
	ctl vault start a 2>"$work/lost" && return 1
	cat "$work/lost"
	[ "$(wc -l <"$work/lost")" = 1 ] && grep -q 'is missing' "$work/lost"
}
ok "a disk that is gone is said to be" lost_disk
ok "delete" exits 0 ctl vault delete a
ok "it is gone" exits 1 ctl vault show a

# Starts that can't be: one line each, exit status 1, before long.
refused()
{
	refused_with=$1
	shift
	timeout 10 "$BUILDDIR/mediavmd" "$@" >"$work/refused" 2>&1
	refused_status=$?
	cat "$work/refused"
	[ $refused_status = 1 ] && [ "$(wc -l <"$work/refused")" = 1 ] &&
		grep -q "$refused_with" "$work/refused"
}
port=$(ctl --json status | jq .gateway.port)
ok "a port in use" refused "port $port is in use" \
	--config "$work/mediavmd.conf" --set "gateway.port=$port" \
	--state "$work/other" --run "$work/other-run"
ok "a state folder that can't be" refused "can't make the folder" \
	--config "$work/mediavmd.conf" --state /proc/none --run "$work/r"
ok "a state folder that is in use" refused "another mediavmd" \
	--config "$work/mediavmd.conf" --state "$state" --run "$work/r"
daemon_stop
ok "the daemon is gone: said so" exits 1 ctl vault list
finish
