# Attached vaults: the SPICE server of a plain QEMU over TCP with a password,
# over TLS and over a Unix socket. A real client watches through the gateway;
# what it saw is recorded and rendered. Wrong passwords, strangers and servers
# that are gone are told apart.
. "$SRCDIR/tests/scenario/lib.sh"

daemon_config '[render]' 'automatic = 0'
daemon_start || bail "the daemon did not start"

# free_port: sets $port.
port=$((20000 + $$ % 20000))
free_port()
{
	port=$((port + 1))
	while ss -Hltn "sport = :$port" | grep -q .; do
		port=$((port + 1))
	done
}

# plain NAME OPTION...: a QEMU that is none of ours; its firmware is to be seen.
plain()
{
	plain_name=$1
	shift
	qemu-system-x86_64 -nodefaults -no-user-config -machine pc-q35-7.2 \
		-accel tcg -m 64 -vga none -device qxl-vga "$@" \
		>"$work/$plain_name.log" 2>&1 &
	plain_pid=$!
	cleanup_pids="$cleanup_pids $plain_pid"
}

says()
{
	says_text=$1
	shift
	! "$@" >"$work/says" 2>&1 && grep "$says_text" "$work/says"
}

printf 'good secret\n' >"$work/password"
printf 'bad\n' >"$work/wrong"
mkdir "$work/pki"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority \
	-keyout "$work/pki/ca-key.pem" -out "$work/pki/ca-cert.pem" 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=server \
	-keyout "$work/pki/server-key.pem" -out "$work/pki/server.csr" \
	2>/dev/null
echo 'subjectAltName = IP:127.0.0.1' >"$work/pki/names"
openssl x509 -req -in "$work/pki/server.csr" -days 2 -CAcreateserial \
	-CA "$work/pki/ca-cert.pem" -CAkey "$work/pki/ca-key.pem" \
	-extfile "$work/pki/names" -out "$work/pki/server-cert.pem" 2>/dev/null
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=stranger \
	-keyout "$work/pki/other-key.pem" -out "$work/pki/other.pem" 2>/dev/null

free_port
tcp=$port
free_port
tls=$port
printf 'good secret' >"$work/secret"
plain tcp -object "secret,id=pw,file=$work/secret" -spice "addr=127.0.0.1,\
port=$tcp,tls-port=$tls,x509-dir=$work/pki,password-secret=pw"
tcp_pid=$plain_pid
plain unix -spice "unix=on,addr=$work/spice.sock,disable-ticketing=on"
wait_for 20 test -S "$work/spice.sock" || bail "QEMU did not start"
wait_for 20 sh -c "ss -Hltn 'sport = :$tls' | grep -q ." ||
	bail "QEMU does not listen: $(cat "$work/tcp.log")"
free_port

attach()
{
	ctl vault attach "$@"
}

ok "a wrong password is refused" says 'refuses the password' \
	attach one --spice "127.0.0.1:$tcp" --password-file "$work/wrong"
ok "none is, too" says 'wants a password' attach one --spice "127.0.0.1:$tcp"
ok "a server that is not there is told" says 'Connection refused' \
	attach one --spice "127.0.0.1:$port"
ok "TLS needs a certificate to trust" says 'ca-file' \
	attach one --spice "tls:127.0.0.1:$tls"
ok "a stranger's certificate is refused" says 'not who it should be' \
	attach one --spice "tls:127.0.0.1:$tls" \
	--password-file "$work/password" --ca-file "$work/pki/other.pem"
ok "a name that the certificate does not bear is" says 'not who it should be' \
	attach one --spice "tls:localhost:$tls" \
	--password-file "$work/password" --ca-file "$work/pki/ca-cert.pem"
nothing_left()
{
	[ "$(ctl --json vault list)" = '[]' ] &&
		[ -z "$(ls "$state/vaults")" ]
}
ok "nothing is left of those" nothing_left

ok "TCP with a password is attached" attach tcp --spice "127.0.0.1:$tcp" \
	--password-file "$work/password"
ok "TLS is" attach tls --spice "tls:127.0.0.1:$tls" \
	--password-file "$work/password" --ca-file "$work/pki/ca-cert.pem"
attach_here()
{
	(cd "$work" && attach "$@")
}
ok "a Unix socket is, by a relative path" attach_here unix \
	--spice unix:spice.sock

shown()
{
	ctl --json vault show "$1" |
		jq -e ".kind == \"attached\" and .state == \"$2\""
}
ok "they are shown as attached, and running" \
	sh -c "$(command -v jq) -e 'all(.kind == \"attached\" and \
	.state == \"running\") and length == 3' <<-END
	$(ctl --json vault list)
	END"
ok "start is not for them" says 'kept elsewhere' ctl vault start tcp
ok "nor stop" says 'kept elsewhere' ctl vault stop --force tcp
ok "nor a list of snapshots" says 'kept elsewhere' \
	ctl vault snapshot tcp list
ok "nor what would verify them" says 'kept elsewhere' \
	ctl vault verify tcp --deep
ok "nor a window" says 'kept elsewhere' ctl vault network tcp on --for 1m

# watched NAME: a client sees a picture, and the session is recorded.
watched()
{
	ctl connect "$1" --vv "$work/$1.vv" || return 1
	"$BUILDDIR/tests/scenario/spice_watch" --seconds $((3 * patience)) \
		--picture "$work/$1.ppm" "$work/$1.vv" || return 1
	wait_for 10 ended "$1"
}

ended()
{
	ctl --json session list --vault "$1" --limit 1 | jq -e \
		'.[0] | .state == "ended" and .capture.bytes > 1000 and
		.capture.sha256 != null'
}

rendered()
{
	ctl session render "$(ctl --json session list --vault "$1" |
		jq -r '.[0].id')" -o "$work/$1.mp4" &&
		ffprobe -v error -show_entries stream=codec_name \
			"$work/$1.mp4" | grep h264
}

for name in tcp tls unix; do
	ok "$name: a client sees it, and it is recorded" watched $name
	ok "$name: the recording is whole" ctl session verify \
		"$(ctl --json session list --vault $name | jq -r '.[0].id')"
done
ok "what was seen becomes a video" rendered tls
replayed()
{
	ctl replay "$(ctl --json session list --vault tls |
		jq -r '.[0].id')" --vv "$work/replay.vv" &&
		"$BUILDDIR/tests/scenario/spice_watch" --seconds $((3 * patience)) \
			"$work/replay.vv"
}
ok "and is replayed" replayed

uuid=$(ctl --json vault show tcp | jq -r .uuid)
ok "the password is a private file" test \
	"$(stat -c %a "$state/vaults/$uuid/spice-password")" = 600
said_nowhere()
{
	! grep -a 'good secret' "$work/daemon.log" "$state"/catalog.db* \
		"$state"/sessions/*/*/*/* &&
		! ctl --json vault show tcp | grep 'good secret' &&
		! ctl --json events | grep 'good secret'
}
ok "it is said nowhere" said_nowhere
ok "its identity is not ours to read" is_refused 'is kept elsewhere' \
	ctl vault identity tcp

# A daemon that is killed: the TLS session goes on through its tunnel.
ctl connect tls --vv "$work/on.vv" >/dev/null
"$BUILDDIR/tests/scenario/spice_watch" --seconds 8 "$work/on.vv" \
	>"$work/on.log" 2>&1 &
viewer=$!
cleanup_pids="$cleanup_pids $viewer"
is_live()
{
	ctl --json session list --vault tls | jq -e '.[0].state == "live"'
}
ok "a viewer is in over TLS" wait_for 10 is_live
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
daemon_start || bail "the daemon did not start again"
ok "the session outlives the daemon" is_live
nothing_is_missed()
{
	! grep 'warning: vault' "$work/daemon.log"
}
ok "nothing is missed that attached vaults have not" nothing_is_missed
wait "$viewer"
ok "to its own end" test $? = 0

ctl connect tcp --vv "$work/late.vv" >/dev/null
kill "$tcp_pid"
wait "$tcp_pid" 2>/dev/null
ok "a server that is gone is shown" shown tcp stopped
ok "and told" says 'Connection refused' ctl connect tcp --vv "$work/x.vv"
late()
{
	"$BUILDDIR/tests/scenario/spice_watch" --seconds 5 "$work/late.vv"
	ctl --json events --type ticket.refused | grep 'Connection refused'
}
ok "a ticket from before finds the reason in the audit log" late
ok "an attached vault is deleted" ctl vault delete tcp --yes
ok "with its password" test ! -e "$state/vaults/$uuid"
finish
