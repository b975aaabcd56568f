# Guests through libvirt's embedded driver: nothing listens, they outlive a
# killed holder, a crash is told from a shutdown, the machine is the same at
# every start; once as the user of the tests and, for root, as nobody.
. "$SRCDIR/tests/scenario/lib.sh"

uuid=5e0a3c1e-8d0c-4f0b-9d56-0123456789ab
root=$work/root
tool=$BUILDDIR/tests/scenario/hypervisor

hv()
{
	"$tool" embed "$root" "$@" >"$work/out" 2>"$work/err"
}

# said TEXT...: the last call printed these lines, in this order.
said()
{
	cat "$work/out" "$work/err"
	said_from=1
	for said_text; do
		said_line=$(tail -n "+$said_from" "$work/out" |
			grep -n -m 1 -e "$said_text" | cut -d : -f 1)
		[ -n "$said_line" ] || {
			echo "not said: $said_text"
			return 1
		}
		said_from=$((said_from + said_line))
	done
}

qemu_pid()
{
	cat "$root/run/qemu/$1.pid"
}

# One socket: libvirt's monitor, below the root's own folder (mode 0700).
listens_to_libvirt_only()
{
	ss -lntuxpH | grep "pid=$(qemu_pid guest)," >"$work/ss"
	cat "$work/ss"
	[ "$(wc -l <"$work/ss")" = 1 ] &&
		grep -q " $root/lib/qemu/domain-[0-9]*-guest/monitor.sock " \
			"$work/ss" &&
		[ "$(stat -c %a "$root")" = 700 ]
}

network_leads_nowhere()
{
	tr '\0' '\n' <"/proc/$(qemu_pid guest)/cmdline" >"$work/arguments"
	cat "$work/arguments"
	# The card is in the hub, and nothing else names the hub or the net.
	grep -q '"driver":"e1000e".*"netdev":"isolated"' "$work/arguments" &&
		[ "$(grep -c 'hubid=0' "$work/arguments")" = 1 ] &&
		[ "$(grep -c 'hostua-net0' "$work/arguments")" = 1 ]
}

# What libvirt made of the definition, but for the number of the start.
machine()
{
	sed -n '/^live: ok/,/<\/domain>/p' "$work/out" |
		sed '/^live:/d; s/ id=.[0-9]*.>/>/'
}

same_machine()
{
	[ "$(wc -l <"$work/machine1")" -gt 100 ] &&
		diff "$work/machine1" "$work/machine2"
}

define()
{
	"$tool" define "$@"
}
define guest "$uuid" "$work/serial.log" >"$work/guest.xml" ||
	bail "no definition"
# A boot sector that writes to the power management port: S5.
printf '\272\004\006\270\000\040\357\364\353\375' >"$work/off.img"
head -c 500 /dev/zero >>"$work/off.img"
printf '\125\252' >>"$work/off.img"
truncate -s 1M "$work/off.img"
define off "$uuid" "$work/off.log" "$work/off.img" >"$work/off.xml"

# A first start, and what it must not do twice.
ok "libvirt is there" hv version machine "start:$work/guest.xml" \
	"start:$work/guest.xml" "state:$uuid" "graphics:$uuid" "probe:$uuid" \
	"live:$uuid"
ok "it names its versions" said "^version: ok libvirt [0-9.]*, QEMU [0-9.]*"
ok "it names a versioned machine" said "^machine: ok pc-q35-[0-9]*[.][0-9]*$"
ok "the guest starts once" said "^start: ok" \
	"^start: error -17 the guest runs already" "^state: ok running"
ok "SPICE answers over TCP" said "^graphics: ok tcp REDQ"
ok "every channel is there" said "^probe: ok 1 2 3 4 5 6 9 11 "
ok "QEMU listens to libvirt only" listens_to_libvirt_only
ok "the network card leads nowhere" network_leads_nowhere
ok "QEMU writes the log of the guest" test -f "$work/serial.log"
machine >"$work/machine1"

# The holder is killed; QEMU is not.
"$tool" embed "$root" "state:$uuid" hold >"$work/holder" &
holder=$!
cleanup_pids="$cleanup_pids $holder"
ok "a new holder finds the guest" \
	wait_for 20 grep -q '^hold: ok' "$work/holder"
ok "it runs" grep -q '^state: ok running' "$work/holder"
hv "state:$uuid"
ok "a second holder is refused" said "^new: error -16 another mediavmd"
kill -9 "$holder"
wait "$holder" 2>/dev/null
hv "graphics:$uuid" "stop:$uuid" "state:$uuid" "force:$uuid" \
	await:stopped "state:$uuid" "force:$uuid" "graphics:$uuid"
ok "after kill -9 SPICE is reached again" said "^graphics: ok tcp REDQ"
ok "it may be asked to shut down" said "^stop: ok" "^state: ok running"
ok "it is stopped by force" said "^force: ok" "^await: ok stopped" \
	"^state: ok stopped"
ok "stopping a stopped guest is no error" said "^force: ok" "^force: ok" \
	"^graphics: error -2 "

# How it ended: killed, while nobody looked, by itself.
hv "start:$work/guest.xml" "live:$uuid"
machine >"$work/machine2"
ok "two starts make the same machine" same_machine
hv "signal:9:$(qemu_pid guest)" await:crashed "state:$uuid"
ok "a killed QEMU has crashed" said "^await: ok crashed" "^state: ok crashed"
hv "start:$work/guest.xml" "state:$uuid"
ok "it starts again" said "^start: ok" "^state: ok running"
kill -9 "$(qemu_pid guest)"
hv "state:$uuid" "start:$work/off.xml" await:stopped "state:$uuid"
ok "a QEMU that died meanwhile does not run" said "^state: ok crashed"
ok "a guest that switches itself off has stopped" said "^start: ok" \
	"^await: ok stopped it was shut down" "^state: ok stopped"

# What goes wrong says so.
sed 's/pc-q35-[0-9.]*/pc-q35-99.1/' "$work/guest.xml" >"$work/bad.xml"
hv "start:$work/bad.xml" "state:$uuid"
ok "an unknown machine is refused" said "^start: error -22 .*pc-q35-99.1" \
	"^state: ok stopped"
deep=$work/$(printf '%050d' 0)
"$tool" embed "$deep" >"$work/out" 2>"$work/err"
ok "a root that is too deep is refused" said "^new: error -36 .*shorter"
"$tool" embed "$work/none/root" >"$work/out" 2>"$work/err"
ok "a root without a parent is refused" said "^new: error -2 cannot make"
"$tool" nonsense:///x "$root" >"$work/out" 2>"$work/err"
ok "another URI that is none is refused" said "^new: error .*nonsense"
ok "nothing is printed besides" test ! -s "$work/err"

unprivileged()
{
	root=$work/nobody/root
	mkdir "$work/nobody" && chown nobody "$work/nobody"
	define guest "$uuid" "$work/nobody/log" >"$work/nobody/guest.xml"
	runuser -u nobody -- env -i "$tool" embed "$root" \
		"start:$work/nobody/guest.xml" "state:$uuid" \
		"graphics:$uuid" "force:$uuid" "state:$uuid" \
		>"$work/out" 2>"$work/err"
	said "^start: ok" "^state: ok running" "^graphics: ok tcp REDQ" \
		"^force: ok" "^state: ok stopped"
}
if [ "$(id -u)" = 0 ]; then
	ok "nobody can run a guest" unprivileged
else
	skip "nobody can run a guest" "not root"
fi
finish
