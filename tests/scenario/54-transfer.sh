# Files go to and come from real servers by SFTP, WebDAV, HTTP and S3. Each
# connection is cut in the middle, and each process killed once: the transfer
# goes on where the far end stands, and every byte is right. What is wrong at
# the far end is told in words.
. "$SRCDIR/tests/scenario/lib.sh"
. "$SRCDIR/tests/scenario/servers.sh"

size=20000000
head -c $size /dev/urandom >"$work/data"
cat >"$work/netrc" <<END
machine 127.0.0.1 login alice password wonderland
machine localhost login S3RVER password S3RVER
END
chmod 600 "$work/netrc"

# conf NAME LINES...: a configuration, $work/NAME.conf.
conf()
{
	conf_name=$1
	shift
	printf '%s\n' '[transfer]' "netrc = $work/netrc" \
		"known-hosts = $work/ssh/known_hosts" \
		"ssh-key = $work/ssh/key" 'patience = 20s' "$@" \
		>"$work/$conf_name.conf"
}

# transfer FOLDER CONF ARGUMENTS...: prints what it says.
transfer()
{
	transfer_folder=$work/$1
	transfer_conf=$work/$2.conf
	shift 2
	mkdir -p "$transfer_folder"
	"$BUILDDIR/tests/scenario/transfer" "$transfer_folder" \
		"$transfer_conf" "$@" >"$work/said" 2>"$work/log"
	transfer_status=$?
	cat "$work/said" "$work/log"
	return $transfer_status
}

# fails WORDS ARGUMENTS...: it does, and says that; and no secret.
fails()
{
	fails_with=$1
	shift
	! transfer "$@" && grep -q "$fails_with" "$work/said" &&
		! grep -E 'wonderland|S3RVER password' "$work/said" "$work/log"
}

arrived()
{
	cmp "$work/data" "$1"
}

# send_cut NAME CONF URL: by the newest proxy.
send_cut()
{
	ok "$1: sent, and cut in the middle" \
		transfer "$1-1" "$2" send "$3" "$work/data" || return
	ok "$1: it was really cut" was_cut
	ok "$1: nobody had to begin in the middle" \
		sh -c "! grep -q 'begin [1-9]' '$work/said'"
	# As after a kill between the far end's last answer and ours.
	ok "$1: a next run finds it finished" \
		transfer "$1-1" "$2" send "$3" "$work/data"
	ok "$1: and sends nothing" sh -c "! grep begin '$work/said'"
}

# killed NAME CONF URL: both ways, by processes that are killed.
killed()
{
	ok "$1: sent by a process that is killed" \
		transfer "$1-3" "$2" send "$3" "$work/data" 17500000
	ok "$1: another went on in the middle" \
		grep -q '^begin [1-9]' "$work/said"
	ok "$1: fetched by a process that is killed" \
		transfer "$1-4" "$2" fetch "$3" "$work/$1.killed" 12000000
	ok "$1: another went on in the middle of that" \
		grep -q '^begin [1-9]' "$work/said"
	ok "$1: every byte has come after that" arrived "$work/$1.killed"
}

# fetch_cut NAME CONF URL
fetch_cut()
{
	ok "$1: fetched, and cut in the middle" \
		transfer "$1-5" "$2" fetch "$3" "$work/$1.cut"
	ok "$1: that was really cut" was_cut
	ok "$1: every byte has come after the cut" arrived "$work/$1.cut"
}

# forgotten NAME CONF URL CUT-CONF CUT-URL UNFINISHED...: an upload is given up,
# and what UNFINISHED finds at the far end is then taken away.
forgotten()
{
	forgotten_name=$1 forgotten_conf=$2 forgotten_url=$3
	ok "$1: what does not come back is given up" \
		fails 'given up after' "$1-f" "$4" send "$5" "$work/data"
	shift 5
	ok "$forgotten_name: something unfinished is there" "$@"
	ok "$forgotten_name: it can be forgotten" \
		transfer "$forgotten_name-f" "$forgotten_conf" forget \
		"$forgotten_url"
	ok "$forgotten_name: then nothing of it is there" sh -c "! $*"
}

# --- SFTP: OpenSSH ---------------------------------------------------------
if sshd_start; then
	conf sftp
	far=sftp://$ssh_user@127.0.0.1
	cut_at "$sshd_port" 12000000
	echo "[127.0.0.1]:$cut_port $(cut -d' ' -f1,2 "$work/ssh/host.pub")" \
		>>"$work/ssh/known_hosts"
	send_cut sftp sftp "$far:$cut_port$ssh_home/a%20b.mvault"
	ok "sftp: every byte is there" arrived "$ssh_home/a b.mvault"
	killed sftp sftp "$far:$sshd_port$ssh_home/killed"
	cut_at "$sshd_port" 12000000
	echo "[127.0.0.1]:$cut_port $(cut -d' ' -f1,2 "$work/ssh/host.pub")" \
		>>"$work/ssh/known_hosts"
	fetch_cut sftp sftp "$far:$cut_port$ssh_home/killed"
	head -c 1000 "$work/data" >"$work/sftp.killed"
	touch -d '1 hour ago' "$ssh_home/killed"
	ok "sftp: another date of the source is noticed" \
		fails 'its date has changed' sftp-4 sftp fetch \
		"$far:$sshd_port$ssh_home/killed" "$work/sftp.killed"
	cut_at "$sshd_port" 12000000 -1
	echo "[127.0.0.1]:$cut_port $(cut -d' ' -f1,2 "$work/ssh/host.pub")" \
		>>"$work/ssh/known_hosts"
	conf sftphasty 'patience = 500ms'
	forgotten sftp sftp "$far:$sshd_port$ssh_home/x" sftphasty \
		"$far:$cut_port$ssh_home/x" test -s \
		"$ssh_home/x.scenario.part"
	ok "sftp: nothing unfinished is left" \
		sh -c "! ls '$ssh_home' | grep part"
	ok "sftp: what is there is not overwritten" \
		fails 'something at' sftp-6 sftp send \
		"$far:$sshd_port$ssh_home/killed" "$work/data"
	ok "sftp: a folder that is missing is told" \
		fails 'no such file or folder' sftp-7 sftp send \
		"$far:$sshd_port$ssh_home/none/x" "$work/data"
	conf unknown "known-hosts = $work/none"
	ok "sftp: an unknown host key is shown, and refused" \
		fails "host key of 127.0.0.1 is not known.*$(ssh-keygen -lf \
		"$work/ssh/host.pub" | cut -d' ' -f2)" sftp-8 unknown \
		fetch "$far:$sshd_port$ssh_home/killed" "$work/x"
	echo "[127.0.0.1]:$sshd_port $(cut -d' ' -f1,2 "$work/ssh/key.pub")" \
		>"$work/other_hosts"
	conf changed "known-hosts = $work/other_hosts"
	ok "sftp: a changed one as well" \
		fails 'is not the one in' sftp-9 changed \
		fetch "$far:$sshd_port$ssh_home/killed" "$work/x"
	conf keyless 'ssh-key ='
	ok "sftp: a refused login is told" \
		fails 'does not let .* in' sftp-10 keyless \
		fetch "$far:$sshd_port$ssh_home/killed" "$work/x"
else
	skip "SFTP" "$missing"
fi

# --- WebDAV: Apache --------------------------------------------------------
if apache_start; then
	conf dav
	far=http://127.0.0.1:$apache_port/dav
	cut_at "$apache_port" 5000000
	send_cut dav dav "http://127.0.0.1:$cut_port/dav/a%20b.mvault"
	ok "dav: every byte is there" arrived "$dav/a b.mvault"
	killed dav dav "$far/killed"
	cut_at "$apache_port" 5000000
	fetch_cut dav dav "http://127.0.0.1:$cut_port/dav/killed"
	ok "dav: nothing unfinished is left" sh -c "! ls '$dav' | grep part"
	ok "dav: what is there is not overwritten" \
		fails 'something at' dav-6 dav send "$far/killed" "$work/data"
	ok "dav: a folder that is missing is told" \
		fails 'no such folder' dav-7 dav send "$far/none/x" "$work/data"
	ok "dav: a server that looks at no Content-Range gets it in one" \
		transfer dav-8 dav send \
		"http://127.0.0.1:$apache_plain_port/dav/plain" "$work/data"
	ok "dav: all of that is right, too" arrived "$dav/plain"
	conf nobody "netrc = $work/none"
	ok "dav: a login that is missing is told" \
		fails 'wants a login (401)' dav-9 nobody send "$far/x" \
		"$work/data"
	sed 's/wonderland/wrong-wonderland/' "$work/netrc" >"$work/wrong"
	chmod 600 "$work/wrong"
	conf wrong "netrc = $work/wrong"
	ok "dav: a wrong one as well" \
		fails 'refuses the login of alice (401)' dav-10 wrong fetch \
		"$far/killed" "$work/x"
	chmod 644 "$work/wrong"
	ok "dav: a file of logins that all can read is refused" \
		fails 'everybody can read' dav-11 wrong fetch \
		"$far/killed" "$work/x"
	cut_at "$apache_port" 9000000 -1
	conf hasty 'patience = 500ms'
	ok "dav: when it does not come back, it is given up" \
		fails 'given up after' dav-12 hasty send \
		"http://127.0.0.1:$cut_port/dav/late" "$work/data"
	ok "dav: a next run goes on with it" \
		transfer dav-12 dav send "$far/late" "$work/data"
	ok "dav: where it was" grep '^begin [1-9]' "$work/said"
	ok "dav: every byte of it is there" arrived "$dav/late"
else
	skip "WebDAV" "$missing"
fi

# --- HTTP: nginx ------------------------------------------------------------
if nginx_start; then
	conf http
	cp "$work/data" "$www/files/source"
	chmod -R a+rX "$www"
	far=http://127.0.0.1:$nginx_port
	cut_at "$nginx_port" 12000000
	send_cut http http "http://127.0.0.1:$cut_port/put/sent"
	ok "http: every byte is there" arrived "$www/put/sent"
	cut_at "$nginx_port" 12000000
	fetch_cut http http "http://127.0.0.1:$cut_port/files/source"
	ok "http: fetched by a process that is killed" \
		transfer http-3 http fetch "$far/files/source" \
		"$work/http.killed" 12000000
	ok "http: another went on in the middle" \
		grep '^begin [1-9]' "$work/said"
	ok "http: every byte has come after that" arrived "$work/http.killed"
	ok "http: a redirect is followed" \
		transfer http-4 http fetch "$far/moved/source" "$work/moved"
	ok "http: to the right file" arrived "$work/moved"
	cut_at "$nginx_port" 12000000 -1
	conf hasty 'patience = 500ms'
	ok "http: a beginning is fetched" fails 'given up' http-5 hasty fetch \
		"http://127.0.0.1:$cut_port/files/source" "$work/part"
	ok "http: it is there" test -s "$work/part"
	head -c $size /dev/zero >"$www/files/source"
	ok "http: another file in the place of the source is noticed" \
		fails 'ETag has changed' http-5 http fetch \
		"$far/files/source" "$work/part"
	cp "$work/data" "$www/files/source"
	ok "http: 403 is told" fails 'forbids it (403)' http-6 http fetch \
		"$far/closed/x" "$work/x"
	ok "http: 404 is told" fails 'no such file' http-6 http fetch \
		"$far/files/none" "$work/x"
	ok "http: 507 is told" fails 'is full' http-6 http send \
		"$far/full/x" "$work/data"
	ok "http: an upload goes nowhere but where it was said" \
		fails 'answers 307' http-9 http send "$far/astray/x" "$work/data"
	ok "http: and nothing is there" test ! -e "$www/put/astray"
	ok "http: a server that nobody is at is told, at once" \
		fails 'ailed to connect' http-6 http fetch \
		"http://127.0.0.1:1/x" "$work/x"
	tls=https://localhost:$nginx_tls_port/files/source
	ok "https: a certificate of nobody is refused" \
		fails "can't be trusted" http-7 http fetch "$tls" "$work/x"
	conf tls "ca = $work/nginx.pem"
	ok "https: with its authority it is fetched" \
		transfer http-8 tls fetch "$tls" "$work/tls"
	ok "https: every byte has come" arrived "$work/tls"
else
	skip "HTTP" "$missing"
fi

# --- S3: s3rver -------------------------------------------------------------
if s3_start; then
	conf s3 "s3-endpoint = http://localhost:$s3_port"
	cut_at "$s3_port" 12000000
	conf s3cut "s3-endpoint = http://localhost:$cut_port/"
	send_cut s3 s3cut s3://vaults/d%20/a%2bb
	ok "s3: fetched" transfer s3-2 s3 fetch s3://vaults/d%20/a%2bb \
		"$work/s3.got"
	ok "s3: every byte has come" arrived "$work/s3.got"
	killed s3 s3 s3://vaults/killed
	ok "s3: which asked for the parts" \
		grep '^ListParts after 1' "$work/s3.log"
	cut_at "$s3_port" 12000000
	conf s3cut "s3-endpoint = http://localhost:$cut_port"
	fetch_cut s3 s3cut s3://vaults/killed
	ok "s3: sent, of which the server did not say the end" \
		transfer s3-9 s3 send s3://vaults/unsure "$work/data"
	ok "s3: fetched after that" \
		transfer s3-unsure s3 fetch s3://vaults/unsure "$work/s3.unsure"
	cut_at "$s3_port" 12000000 -1
	conf s3hasty "s3-endpoint = http://localhost:$cut_port" 'patience = 500ms'
	forgotten s3 s3 s3://vaults/x s3hasty s3://vaults/x \
		grep -r '^x$' "$work/s3" --include=key
	ok "s3: a bucket that is missing is told" \
		fails 'NoSuchBucket' s3-6 s3 fetch s3://none/x "$work/x"
	conf nobody "netrc = $work/none" "s3-endpoint = http://localhost:1"
	ok "s3: keys that are missing are told" \
		fails 'no keys for localhost' s3-7 nobody fetch \
		s3://vaults/killed "$work/x"
	sed 's/password S3RVER/password wrong/' "$work/netrc" >"$work/wrong"
	chmod 600 "$work/wrong"
	conf wrong "netrc = $work/wrong" \
		"s3-endpoint = http://localhost:$s3_port"
	ok "s3: a wrong secret is refused" \
		fails 'SignatureDoesNotMatch' s3-8 wrong fetch \
		s3://vaults/killed "$work/x"
	if s3_start plain; then
		conf s3plain "s3-endpoint = http://localhost:$s3_port"
		cut_at "$s3_port" 12000000
		conf s3cut "s3-endpoint = http://localhost:$cut_port"
		ok "s3: without ListParts a cut is survived as well" \
			transfer s3-10 s3cut send s3://vaults/plain \
			"$work/data"
		ok "s3: which was one" was_cut
		ok "s3: a killed upload is begun anew then" transfer s3-11 \
			s3plain send s3://vaults/anew "$work/data" 17500000
		ok "s3: fetched" transfer s3-12 s3plain fetch \
			s3://vaults/anew "$work/anew"
		ok "s3: every byte of it has come" arrived "$work/anew"
	fi
else
	skip "S3" "$missing"
fi
finish
