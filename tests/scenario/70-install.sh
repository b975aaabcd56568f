# Installing below a folder: which files with which modes, manuals that read
# without a warning, a unit that systemd accepts; what is installed runs, and
# uninstalling leaves the configuration and nothing else.
. "$SRCDIR/tests/scenario/lib.sh"

root=$work/root
# Its own build's prefix: what configure was told.
prefix=$(sed -n 's/^prefix = //p' "$BUILDDIR/Makefile")
sysconfdir=$(sed -n 's/^sysconfdir = //p' "$BUILDDIR/Makefile")
unitdir=$(sed -n 's/^unitdir = //p' "$BUILDDIR/Makefile")
conf=$root$sysconfdir/mediavm/mediavmd.conf
unit=$root$unitdir/mediavmd.service
sysusers=$root$prefix/lib/sysusers.d/mediavm.conf

do_make()
{
	make -s -C "$BUILDDIR" "$1" DESTDIR="$root"
}

# Whatever the umask of whoever installs: the daemon's user must read it.
install_strictly()
(
	umask 0077
	do_make install
)

files()
{
	find "$root" ! -type d -printf '%m /%P\n' | sort -k 2
}

cat >"$work/wanted" <<END
644 $sysconfdir/mediavm/mediavmd.conf
644 $unitdir/mediavmd.service
644 $prefix/lib/sysusers.d/mediavm.conf
644 $prefix/share/man/man1/mediavmctl.1
644 $prefix/share/man/man5/mediavmd.conf.5
644 $prefix/share/man/man8/mediavmd.8
755 $prefix/bin/mediavmctl
755 $prefix/sbin/mediavmd
END
sort -k 2 -o "$work/wanted" "$work/wanted"
as_wanted()
{
	files >"$work/files"
	diff "$work/wanted" "$work/files"
}
folders_are_open()
{
	! find "$root" -mindepth 1 -type d ! -perm -755 | grep .
}

ok "install" install_strictly || finish
ok "these files with these modes" as_wanted
ok "everybody may enter the folders" folders_are_open

reads_well()
{
	man --warnings -E UTF-8 -l "$1" 2>&1 >"$work/page.txt" | grep . &&
		return 1
	[ "$(wc -l <"$work/page.txt")" -gt 30 ]
}
for page in man1/mediavmctl.1 man5/mediavmd.conf.5 man8/mediavmd.8; do
	ok "man reads $page without a warning" \
		reads_well "$root$prefix/share/man/$page"
done

no_placeholder()
{
	! grep -nE '%[A-Z]+%|@[a-z]+@' "$unit" "$sysusers"
}
ok "no placeholder is left" no_placeholder
ok "the unit starts what is installed" \
	grep -q "^ExecStart=$prefix/sbin/mediavmd --config $sysconfdir/" "$unit"
ok "as the user of the sysusers file" sh -c "user=\$(sed -n \
	's/^User=//p' '$unit'); grep -q \"^u \$user \" '$sysusers' &&
	grep -q \"^m \$user kvm\" '$sysusers'"
if command -v systemd-analyze >/dev/null; then
	# The unit, with the paths it has here; all it says is a fault.
	accepted()
	{
		sed -e "s|^ExecStart=|&$root|" -e '/^Documentation=/d' \
			"$unit" >"$work/mediavmd.service"
		! systemd-analyze verify --man=no "$work/mediavmd.service" \
			2>&1 | grep 'mediavmd'
	}
	ok "systemd accepts the unit" accepted
else
	skip "systemd accepts the unit" "no systemd-analyze"
fi
if command -v systemd-sysusers >/dev/null; then
	users_made()
	{
		mkdir -p "$work/users/etc" &&
			systemd-sysusers --root="$work/users" "$sysusers" &&
			grep '^mediavm:.*:/var/lib/mediavm:' \
				"$work/users/etc/passwd" &&
			grep '^kvm:.*:mediavm$' "$work/users/etc/group"
	}
	ok "systemd makes the user" users_made
else
	skip "systemd makes the user" "no systemd-sysusers"
fi

ok "the installed daemon accepts the installed configuration" \
	"$root$prefix/sbin/mediavmd" --config "$conf" config check
tree=$BUILDDIR
mkdir "$work/bin"
ln -s "$root$prefix/sbin/mediavmd" "$root$prefix/bin/mediavmctl" "$work/bin"
BUILDDIR=$work/bin
ok "it starts, and the installed command line finds it" daemon_start
daemon_stop
BUILDDIR=$tree

echo '# edited' >>"$conf"
ok "install again" install_strictly
ok "the edited configuration stays" grep -qx '# edited' "$conf"
ok "uninstall" do_make uninstall
only_configuration()
{
	files >"$work/files"
	cat "$work/files"
	[ "$(cat "$work/files")" = "644 $sysconfdir/mediavm/mediavmd.conf" ]
}
ok "the configuration is all that is left" only_configuration
finish
