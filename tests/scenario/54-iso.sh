# A new vault whose CD image comes by a URL: the request is answered at once,
# the image is fetched by a job, which goes on after a cut and after a restart
# of the daemon; the vault is there when the digest is right, and else nothing.
. "$SRCDIR/tests/scenario/lib.sh"
. "$SRCDIR/tests/scenario/servers.sh"

nginx_start || {
	skip "an iso by its URL" "$missing"
	finish
}
head -c 24000000 /dev/urandom >"$www/files/setup.iso"
chmod -R a+rX "$www"
sum=$(sha256sum <"$www/files/setup.iso" | cut -d' ' -f1)
wrong=$(echo "$sum" | tr 0123456789abcdef 123456789abcdef0)
echo kernel >"$work/kernel"
daemon_config '[transfer]' "netrc = $work/netrc" 'patience = 20s'
daemon_start || bail "the daemon did not start"

# create NAME URL ARGUMENTS...
create()
{
	create_name=$1
	create_url=$2
	shift 2
	ctl vault create "$create_name" --memory 64M --kernel "$work/kernel" \
		--iso "$create_url" "$@"
}
uuid_of()
{
	json .uuid ctl --json vault show "$1"
}
# same_image NAME
same_image()
{
	cmp "$www/files/setup.iso" "$state/vaults/$(uuid_of "$1")/disks/cd.iso"
}
job_state()
{
	ctl_job=$(curl -s --unix-socket "$run/api.sock" \
		"http://x/api/v1/jobs/$1" | tee "$work/job") &&
		echo "$ctl_job" | jq -r .state
}
job_is()
{
	[ "$(job_state "$1")" = "$2" ]
}
half_fetched()
{
	find "$state/vaults" -name 'cd.iso.fetch' -size +4M | grep -q .
}
refused()
{
	refused_with=$1
	shift
	! "$@" >"$work/refused" 2>&1 && grep "$refused_with" "$work/refused"
}
nothing_left()
{
	! ctl vault show "$1" &&
		[ "$(find "$state/vaults" -name 'cd.iso*' | wc -l)" = 3 ]
}

cut_at "$nginx_port" 9000000
ok "a vault is made with an iso by its URL" create plain \
	"http://127.0.0.1:$cut_port/files/setup.iso?token=tell-nobody#sha256=$sum"
ok "its connection was cut" was_cut
ok "the image has come whole" same_image plain
ok "its drive has it" grep -q 'disks/cd.iso' \
	"$state/vaults/$(uuid_of plain)/domain.xml"
ok "nothing else is left of the transfer" \
	sh -c "! ls '$state/vaults/$(uuid_of plain)' | grep fetch"

# Half a second of it has come when the daemon is killed, then ended.
slow=http://127.0.0.1:$nginx_port/slow/setup.iso
begin=$(date +%s%N)
ok "without waiting, the answer is a job" sh -c "
	'$BUILDDIR/mediavmctl' --socket '$run/api.sock' --json vault create \
	slow --memory 64M --kernel '$work/kernel' --iso '$slow' \
	--iso-sha256 $(echo "$sum" | tr a-f A-F) --no-wait >'$work/created'"
id=$(jq -r .id "$work/created")
ok "which runs" sh -c "test '$(job_state "$id")' = running"
ok "the vault is not there yet" refused 'no vault' ctl vault show slow
ok "its name is taken" refused 'already' create slow "$slow"
ok "some of it comes" wait_for 20 half_fetched
told()
{
	job_state "$id" && jq -e '.bytes > 0 and .bytes_all == 24000000 and
		.rate > 0' "$work/job"
}
narrowed()
{
	sanitized && return
	narrowed_pid=$(pgrep -f "job fetch.*$nginx_port/slow") &&
		grep -E '^Seccomp:[^0-9]*2' "/proc/$narrowed_pid/status" &&
		grep -E '^NoNewPrivs:[^0-9]*1' "/proc/$narrowed_pid/status"
}
ok "by a process that may do little else" narrowed
ok "it tells bytes, rate and progress" wait_for 10 told
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
size=$(find "$state/vaults" -name cd.iso.fetch -printf '%s')
ok "the daemon, killed, starts again" daemon_start
ok "and goes on with it" sh -c "test '$(find "$state/vaults" \
	-name cd.iso.fetch -printf '%s')' -ge '$size'"
ok "the vault comes to be" wait_for 30 ctl vault show slow
ok "its image is whole" same_image slow
range_asked()
{
	grep '"GET /slow/setup.iso HTTP/1.1" 206' "$work/nginx.access"
}
ok "only the rest was asked for" range_asked

# The kill came between the image's first bytes and what they are of.
begun_by_nobody()
{
	"$BUILDDIR/mediavmctl" --socket "$run/api.sock" vault create unsaid \
		--memory 64M --kernel "$work/kernel" --iso "$slow" --no-wait &&
		wait_for 20 half_fetched
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	rm "$state"/vaults/*/fetch.state
	head -c 24000000 /dev/urandom >"$www/files/setup.iso"
	daemon_start && wait_for 30 ctl vault show unsaid
}
ok "a beginning of nobody knows what" begun_by_nobody
ok "does not come into the image" same_image unsaid

ok "another image than was meant is refused" refused 'not the one' create \
	bad "http://127.0.0.1:$nginx_port/files/setup.iso" --iso-sha256 "$wrong"
ok "and leaves nothing" nothing_left bad
ok "one that is not there is told" refused '404' create bad \
	"http://127.0.0.1:$nginx_port/files/none.iso"
ok "a job can be cancelled" sh -c "
	'$BUILDDIR/mediavmctl' --socket '$run/api.sock' --json vault create \
	bad --memory 64M --kernel '$work/kernel' --iso '$slow' --no-wait \
	>'$work/created'"
id=$(jq -r .id "$work/created")
wait_for 10 half_fetched
curl -s -X DELETE --unix-socket "$run/api.sock" \
	"http://x/api/v1/jobs/$id" >/dev/null
ok "then it ends" wait_for 10 job_is "$id" cancelled
ok "and leaves nothing either" nothing_left bad

no_secret()
{
	! grep -r 'tell-nobody' "$work/daemon.log" "$state" &&
		! ctl --json events | grep 'tell-nobody'
}
ok "the secret in the URL is nowhere" no_secret
finish
