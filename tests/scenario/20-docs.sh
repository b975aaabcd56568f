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

# Names and numbers of messages and values are spice-protocol's.
awk '/^#define SPICE_[A-Z]+_TO_(CLIENT|GUEST)\(X\)|^#define SPICE_[A-Z]+\(X\)/ {
		split(substr($2, 7), a, /_TO_|\(/); channel = a[1]
		client = $2 !~ /_TO_GUEST/ }
	/^#define SPICE_(CHANNELS|STRUCTS|NONE)\(X\)/ { channel = "" }
	/^#define AGENT_MESSAGES/ { channel = "AGENT" }
	channel != "" && match($0, /^\tX\([0-9]+, [a-z_0-9]+/) {
		split(substr($0, 4, RLENGTH - 3), f, /, /)
		prefix = client ? "SPICE_MSG_" : "SPICE_MSGC_"
		if (channel == "COMMON") name = prefix
		else if (channel == "AGENT") name = "VD_AGENT_"
		else if (f[1] < 200 && channel ~ /^(USBREDIR|PORT|WEBDAV)$/)
			name = prefix "SPICEVMC_"
		else if (channel == "WEBDAV") name = prefix "PORT_"
		else name = prefix channel "_"
		printf "_Static_assert(%s%s == %s, \"%s\");\n", name,
			toupper(f[2]), f[1], f[2] }' \
	"$SRCDIR/schema/spice_messages.h" >"$work/asserts"
for set in IMAGE_TYPE BITMAP_FMT ROPD VIDEO_CODEC_TYPE CURSOR_TYPE LINK_ERR \
	AUDIO_DATA_MODE IMAGE_COMPRESSION MOUSE_BUTTON; do
	value='%s'
	[ $set != ROPD ] || value='1 << %s'
	sed -n "/^#define SET_$set(X)/,/[^\\\\]\$/p" \
		"$SRCDIR/schema/spice_names.h" |
		grep -o 'X([0-9]*, [a-z0-9_]*)' | tr -d 'X(),' |
		while read -r number name; do
			# shellcheck disable=SC2059
			printf "_Static_assert(SPICE_${set}_%s == $value, \"\");\n" \
				"$(echo "$name" | tr a-z A-Z)" "$number"
		done
done >>"$work/asserts"
ok "there are names to compare" test "$(wc -l <"$work/asserts")" -ge 200
own_names()
{
	{
		echo '#include <spice/enums.h>'
		echo '#include <spice/vd_agent.h>'
		grep -v SPICE_AUDIO_DATA_MODE_CELT "$work/asserts"
	} >"$work/asserts.c"
	# shellcheck disable=SC2046
	cc -std=c11 -fsyntax-only $(pkg-config --cflags spice-protocol) \
		"$work/asserts.c"
}
ok "messages and values have spice-protocol's names and numbers" own_names

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
