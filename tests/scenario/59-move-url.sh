# Vaults go to and come from real servers: WebDAV, SFTP, HTTP and S3, cut in
# the middle on both ways, and gone on with; by daemons that are killed, too.
. "$SRCDIR/tests/scenario/lib.sh"
. "$SRCDIR/tests/scenario/servers.sh"

cat >"$work/netrc" <<END
machine 127.0.0.1 login alice password wonderland
machine localhost login S3RVER password S3RVER
END
chmod 600 "$work/netrc"

# A vault that is never started: half of its disk is noise.
make_vault()
{
	qemu-img create -q -f raw "$work/disk.raw" 64M &&
		dd if=/dev/urandom of="$work/disk.raw" bs=1M seek=3 count=24 \
			conv=notrunc status=none &&
		ctl vault create far --disk "$work/disk.raw" &&
		vault=$state/vaults/$(ctl --json vault show far | jq -r .uuid)
}

digests_of()
{
	(cd "$1" && find disks fw domain.xml -type f | LC_ALL=C sort |
		xargs sha256sum)
}

is_the_same()
{
	digests_of "$vault" | diff "$work/before" -
}

# comes_back NAME URL: the vault is taken away here and imported from there.
comes_back()
{
	ctl vault delete far --yes >/dev/null
	ok "$1: imported from there" ctl vault import "$2" || {
		ctl vault import "$work/spare.mvault" >/dev/null
		return
	}
	ok "$1: every byte has come" is_the_same
	ok "$1: nothing is left of the import" \
		test -z "$(ls "$state/import")"
}

# export_killed NAME URL: the daemon is killed in the middle of it.
export_killed()
{
	ctl vault export far "$2" --no-wait >/dev/null
	sleep 0.3
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_start && ctl vault export far "$2"
}

daemon_config '[transfer]' "netrc = $work/netrc" \
	"known-hosts = $work/ssh/known_hosts" "ssh-key = $work/ssh/key" \
	"s3-endpoint = http://localhost:${s3_port:=$(free_port)}" \
	'patience = 20s'
daemon_start || bail "the daemon did not start"
ok "a vault is made" make_vault || finish
digests_of "$vault" >"$work/before"
ok "and exported to a file" ctl vault export far "$work/spare.mvault"

if sshd_start; then
	far=sftp://$(id -un)@127.0.0.1
	cut_at "$sshd_port" 12000000
	echo "[127.0.0.1]:$cut_port $(cut -d' ' -f1,2 "$work/ssh/host.pub")" \
		>>"$work/ssh/known_hosts"
	ok "sftp: exported, the connection cut in the middle" \
		ctl vault export far "$far:$cut_port$ssh_home/a.mvault"
	ok "sftp: it was really cut" was_cut
	ok "sftp: exported by a daemon that is killed" \
		export_killed sftp "$far:$sshd_port$ssh_home/b.mvault"
	for bundle in a b; do
		ok "sftp: $bundle is good" \
			ctl vault import --check "$ssh_home/$bundle.mvault"
	done
	ok "sftp: checked from there" ctl vault import --check \
		"$far:$sshd_port$ssh_home/b.mvault"
	comes_back sftp "$far:$sshd_port$ssh_home/a.mvault"
else
	skip "sftp" "$missing"
fi

if apache_start; then
	cut_at "$apache_port" 3000000
	ok "webdav: exported, the connection cut in the middle" \
		ctl vault export far "http://127.0.0.1:$cut_port/dav/a.mvault"
	ok "webdav: it was really cut" was_cut
	part_is_there()
	{
		ls "$dav" | grep 'part$'
	}
	# Half of it is there when another place is asked for.
	abandoned()
	{
		for try in 1 2 3 4 5; do
			ctl vault export far --no-wait \
				"http://127.0.0.1:$apache_port/dav/b$try.mvault"
			wait_for 5 part_is_there
			kill -9 "$daemon_pid"
			wait "$daemon_pid" 2>/dev/null
			daemon_start || return 1
			! part_is_there || break
		done
		part_is_there && ctl vault export far "$work/other.mvault"
	}
	ok "webdav: an upload is given up for another place" abandoned
	ok "webdav: it is taken away" sh -c "! ls '$dav' | grep 'part$'"
	cut_at "$apache_port" 12000000
	comes_back "webdav, cut" "http://127.0.0.1:$cut_port/dav/a.mvault"
	ok "webdav: that was really cut" was_cut
else
	skip "webdav" "$missing"
fi

if nginx_start; then
	cp "$work/spare.mvault" "$www/files/a.mvault"
	cut_at "$nginx_port" 12000000
	comes_back "http, cut" "http://127.0.0.1:$cut_port/files/a.mvault"
	ok "http: that was really cut" was_cut
	# What the server does not have for a while is not lost here.
	cut_at "$nginx_port" 12000000
	gone=http://127.0.0.1:$cut_port/slow/a.mvault
	is_begun()
	{
		grep -s '"plan"' "$state"/import/*/order.json
	}
	gone_for_a_while()
	{
		ctl vault import "$gone" >"$work/gone" 2>&1 &
		gone_pid=$!
		wait_for 10 is_begun
		mv "$www/files/a.mvault" "$www/files/b.mvault"
		! wait "$gone_pid" && grep 404 "$work/gone" &&
			mv "$www/files/b.mvault" "$www/files/a.mvault"
	}
	ctl vault delete far --yes >/dev/null
	ok "http: a bundle that is gone in the middle" gone_for_a_while
	ok "http: is imported when it is there again" ctl vault import "$gone"
	ok "http: from where it was" \
		sh -c "tail -1 '$work/nginx.access' | grep '\" 206 '"
	ok "http: every byte has come" is_the_same
	printf 'x' | dd of="$www/files/a.mvault" bs=1 seek=9000000 \
		conv=notrunc status=none
	ok "http: a damaged one is told by file and bytes" sh -c "! \
		'$BUILDDIR/mediavmctl' --socket '$run/api.sock' vault import \
		--check 'http://127.0.0.1:$nginx_port/files/a.mvault' 2>&1 |
		tee '$work/damaged' | grep -v 'damaged: disks/.*bytes [0-9]'"
	ok "http: in words" grep 'damaged: disks/' "$work/damaged"
else
	skip "http" "$missing"
fi

if s3_start; then
	sed -i "s|^s3-endpoint = .*|s3-endpoint = http://localhost:$s3_port|" \
		"$work/mediavmd.conf"
	daemon_stop
	daemon_start || bail "the daemon did not start again"
	ok "s3: exported" ctl vault export far s3://vaults/a.mvault
	comes_back s3 s3://vaults/a.mvault
else
	skip "s3" "$missing"
fi
finish
