# Documentation and tables agree: configuration keys, policy keys, routes,
# commands and options stand in the manuals, the sample configuration and the
# API's description. Needs no daemon.
. "$SRCDIR/tests/scenario/lib.sh"

pages="mediavmctl.1 mediavmd.conf.5 mediavmd.8"
for page in $pages; do
	MANWIDTH=80 LC_ALL=C.UTF-8 man --warnings -l "$SRCDIR/daemon/$page" \
		2>"$work/$page.warnings" | col -bx >"$work/$page.txt"
	ok "$page is formatted without warnings" \
		sh -c "test -s '$work/$page.txt' -a ! -s '$work/$page.warnings'"
done

# says FILE WORD...: each word stands in it.
says()
{
	says_file=$1
	shift
	for word; do
		grep -qF -e "$word" "$says_file" || {
			echo "$says_file does not say $word"
			return 1
		}
	done
}

# The table of configuration keys: section, key and default of each line.
tr '\n\t' '  ' <"$SRCDIR/schema/config_keys.h" |
	grep -o 'CONFIG_KEY("[^"]*", *"[^"]*", *[A-Z]*, *[a-z_]*, *[^,]*' |
	sed -e 's|MEDIAVM_LOCALSTATEDIR "/lib/mediavm"|"/var/lib/mediavm"|' \
		-e 's/CONFIG_KEY("\([^"]*\)", *"\([^"]*\)", *[A-Z]*, *[a-z_]*, *"\(.*\)"/\1 \2 \3/' \
	>"$work/keys"
ok "there are configuration keys" test "$(wc -l <"$work/keys")" -ge 14
sample_has_all()
{
	awk 'FNR == NR && /^\[/ { section = substr($0, 2, length($0) - 2) }
		FNR == NR && /^#[a-z-]+ =/ {
			key = substr($1, 2); sub(/^[^=]*= ?/, "")
			sample[section " " key] = $0; count++; next }
		FNR == NR { next }
		{ key = $1 " " $2; sub(/^[^ ]+ [^ ]+ ?/, "")
		  if (!(key in sample) || sample[key] != $0) {
			print key ": default " $0 ", sample " sample[key]
			bad = 1 } keys++ }
		END { exit bad || keys != count }' \
		"$SRCDIR/daemon/mediavmd.conf" "$work/keys"
}
ok "the sample has each with its default, and no other" sample_has_all
ok "mediavmd.conf(5) has each" \
	says "$work/mediavmd.conf.5.txt" $(cut -d' ' -f2 "$work/keys")
ok "the sample is right as it stands" \
	"$BUILDDIR/mediavmctl" config check "$SRCDIR/daemon/mediavmd.conf"
sed 's/^#\([a-z-]* =\)/\1/' "$SRCDIR/daemon/mediavmd.conf" >"$work/all.conf"
ok "and with all its defaults switched on" \
	"$BUILDDIR/mediavmctl" config check "$work/all.conf"
printf '[http]\ncolour = blue\n' >"$work/bad.conf"
wrong_key()
{
	"$BUILDDIR/mediavmctl" config check "$work/bad.conf"
	[ $? = 1 ]
}
ok "an unknown key is an error" wrong_key

# Policy keys: the manual and the API.
policies=$(sed -n 's/^POLICY_[A-Z]*([a-z_]*, "\([^"]*\)".*/\1/p' \
	"$SRCDIR/schema/policy_keys.h")
ok "mediavmctl(1) has every policy key" \
	says "$work/mediavmctl.1.txt" $(printf '%s=\n' $policies)
ok "the API has every policy key" \
	says "$SRCDIR/schema/openapi.yaml" $(printf '%s:\n' $policies)

# Commands and options: help against the manual.
"$BUILDDIR/mediavmctl" help | sed -n '/^  [a-z]/s/^  //p' |
	sed -e 's/  .*//' -e '/^help/d' -e 's/ [A-Z[].*//' >"$work/commands"
ok "there are commands" test "$(wc -l <"$work/commands")" -ge 20
manual_has_commands()
{
	while read -r command; do
		grep -q "^     $command\( \|\$\)" "$work/mediavmctl.1.txt" || {
			echo "the manual has no $command"
			return 1
		}
		# shellcheck disable=SC2086
		for option in $("$BUILDDIR/mediavmctl" $command --help |
			sed -n 's/^  \(--*[a-z-]*\).*/\1/p'); do
			awk -v c="$command" -v o="$option" '
				index($0, "     " c) == 1 { inside = 1; next }
				/^     [a-z]/ || /^[A-Z]/ { inside = 0 }
				inside && index($0, o) { found = 1 }
				END { exit !found }' \
				"$work/mediavmctl.1.txt" || {
				echo "the manual has no $option of $command"
				return 1
			}
		done
	done <"$work/commands"
}
ok "mediavmctl(1) has every command and option" manual_has_commands

# Routes: each in the API's description under its name, and no others.
sed -n 's/^API_ROUTE(\([A-Z]*\), "\([^"]*\)", \([a-z_]*\))/\1 \2 \3/p' \
	"$SRCDIR/schema/api_routes.h" >"$work/routes"
awk '/^  \/.*:$/ { path = substr($1, 1, length($1) - 1) }
	/^    (get|post|patch|delete):$/ {
		method = toupper(substr($1, 1, length($1) - 1)) }
	/^      operationId:/ { print method, path, $2 }' \
	"$SRCDIR/schema/openapi.yaml" >"$work/described"
printf '%s\n' 'GET /api/v1/events events' \
	'POST /api/v1/login-links login_link' 'POST /api/v1/logout logout' \
	'GET /vaults/{name}.vv connect_file' 'GET /login login' \
	'GET /healthz healthz' 'GET /metrics metrics' >>"$work/routes"
same_routes()
{
	sort "$work/routes" >"$work/a" && sort "$work/described" >"$work/b" &&
		diff "$work/a" "$work/b"
}
ok "the API's description has every route and no other" same_routes
references()
{
	grep -o '#/components/[a-zA-Z/]*' "$SRCDIR/schema/openapi.yaml" |
		sort -u | sed 's|.*/||' | while read -r name; do
		grep -q "^    $name:" "$SRCDIR/schema/openapi.yaml" || {
			echo "$name is not described"
			exit 1
		}
	done
}
ok "it refers to nothing that is not there" references

# The service.
sed -e 's|%SBINDIR%/mediavmd|/bin/true|' -e 's|%SYSCONFDIR%|/etc|' \
	"$SRCDIR/daemon/mediavmd.service.in" >"$work/mediavmd.service"
unit_is_right()
{
	systemd-analyze verify --man=no "$work/mediavmd.service" \
		>"$work/unit" 2>&1
	status=$?
	cat "$work/unit"
	[ "$status" = 0 ] && ! grep -q mediavmd.service: "$work/unit"
}
if command -v systemd-analyze >/dev/null; then
	ok "systemd takes the unit" unit_is_right
	ok "systemd takes the user" systemd-sysusers --dry-run \
		"$SRCDIR/daemon/mediavm.sysusers"
else
	skip "systemd takes the unit" "no systemd here"
	skip "systemd takes the user" "no systemd here"
fi
no_placeholder()
{
	! grep -q '%' "$work/mediavmd.service"
}
ok "no placeholder stays in it" no_placeholder
finish
