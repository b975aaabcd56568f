# The page in headless Chromium, driven through chromedriver by plain WebDriver
# requests, against a real daemon and guest: login, the list of vaults, start,
# the viewer's file by one click, a session whose video plays, live changes.
. "$SRCDIR/tests/scenario/lib.sh"

# --- WebDriver by curl -------------------------------------------------------

driver=
# wd METHOD PATH [JSON]: prints the answer's value; fails on an error.
wd()
{
	curl -s -m 60 -X "$1" -H 'Content-Type: application/json' \
		${3:+--data-binary "$3"} "$driver$2" >"$work/wd" || return 1
	jq -e '.value | (type != "object") or (has("error") | not)' \
		"$work/wd" >/dev/null || {
		jq -r '.value.message' "$work/wd" | head -3
		return 1
	}
	jq -r '.value' "$work/wd"
}

# js EXPRESSION: its value in the page.
js()
{
	wd POST /execute/sync "$(jq -n --arg s "return ($1)" \
		'{script: $s, args: []}')"
}

# holds EXPRESSION: it becomes true within a while.
is_true()
{
	[ "$(js "Boolean($1)")" = true ]
}

holds()
{
	wait_for "${2:-15}" is_true "$1"
}

# click SELECTOR: as a person's mouse does; again when the list was just made
# anew.
click()
{
	click_once "$1" && return
	sleep 0.5
	click_once "$1"
}

click_once()
{
	click_element=$(wd POST /element "$(jq -n --arg s "$1" \
		'{using: "css selector", value: $s}')") || return 1
	wd POST "/element/$(echo "$click_element" | jq -r '.[]')/click" '{}'
}

# type_in SELECTOR TEXT
type_in()
{
	type_element=$(wd POST /element "$(jq -n --arg s "$1" \
		'{using: "css selector", value: $s}')") || return 1
	wd POST "/element/$(echo "$type_element" | jq -r '.[]')/value" \
		"$(jq -n --arg t "$2" '{text: $t}')"
}

go()
{
	wd POST /url "$(jq -n --arg u "$1" '{url: $u}')"
}

browser_start()
{
	mkdir -p "$work/downloads"
	chromedriver --port=0 >"$work/driver.log" 2>&1 &
	cleanup_pids="$cleanup_pids $!"
	wait_for 20 grep -q 'successfully on port [0-9]' "$work/driver.log" ||
		return 1
	driver=http://127.0.0.1:$(sed -n \
		's/.*started successfully on port \([0-9]*\).*/\1/p' \
		"$work/driver.log")
	wd POST /session "$(jq -n --arg profile "$work/profile" \
		--arg downloads "$work/downloads" '{capabilities: {alwaysMatch: {
		"goog:loggingPrefs": {browser: "ALL"},
		"goog:chromeOptions": {
			prefs: {"download.default_directory": $downloads},
			args: ["--headless", "--no-sandbox", "--disable-gpu",
			"--disable-quic", "--no-first-run", "--disable-sync",
			"--disable-background-networking",
			"--disable-component-update", "--mute-audio",
			"--window-size=1280,900", "--user-data-dir=" + $profile]
		}}}}')" >"$work/session" || {
		cat "$work/session"
		return 1
	}
	driver=$driver/session/$(jq -r .value.sessionId "$work/wd")
}

# --- a guest with a session --------------------------------------------------

guest_build || bail "the guest could not be built"
daemon_start || bail "the daemon did not start"
browser_start || bail "Chromium did not start"
ok "a vault is made" vault_create lesson || finish

link=$(ctl ui --print)
page=${link%/login*}
ok "the page opens without a login" go "$page/"
ok "and says how to log in" \
	holds 'document.querySelector("main").textContent.includes(
		"mediavmctl ui")'
ok "the login link is taken" go "$link"
ok "it leads to the page, without its token" \
	is_true "location.href === '$page/'"
go "$link" >/dev/null
ok "the link's second use is refused, and what to do is said" \
	is_true 'document.querySelector("h1").textContent.includes(
		"does not work any more") &&
		document.body.textContent.includes("mediavmctl ui")'
# What is wrong from here on is a fault of the page.
wd POST /se/log '{"type": "browser"}' >/dev/null
ok "whoever is logged in goes on from there" click 'a[href="/"]'
cookie_is_hidden()
{
	[ "$(js 'document.cookie')" = "" ]
}
ok "no script sees the cookie" cookie_is_hidden

card='document.querySelector("[data-vault=lesson]")'
ok "the vault is listed as stopped" \
	holds "$card.querySelector('.pill.stopped')"
ok "with what it runs on" holds "/TCG|KVM/.test($card.textContent)"
ok "it cannot be connected to" \
	is_true "$card.querySelector('[data-connect]').hidden"
ok "start is clicked" click '[data-vault=lesson] button.primary'
ok "it runs" holds "$card.querySelector('.pill.running')" 60
ok "the guest plays" wait_for 120 serial_says lesson 'PLAYER playing'
ok "connect is clicked" click '[data-vault=lesson] [data-connect]'
ok "the viewer's file is downloaded" \
	wait_for 15 test -s "$work/downloads/lesson.vv"
ok "it is one" grep -q '^\[virt-viewer\]' "$work/downloads/lesson.vv"
ok "the page says that it works once" \
	holds "$card.textContent.includes('works once')"


# --- a session with that file ------------------------------------------------

go "$page/#/sessions" >/dev/null
ok "there are no sessions yet" \
	holds 'document.querySelector(".empty").textContent.includes(
		"No sessions yet")'
"$BUILDDIR/tests/scenario/spice_watch" --seconds 8 \
	"$work/downloads/lesson.vv" >"$work/watch.log" 2>&1 &
watcher=$!
cleanup_pids="$cleanup_pids $watcher"
ok "a session appears by itself" \
	holds 'document.querySelector("tbody .pill.live")' 20
ok "the downloaded file shows the guest" wait "$watcher" ||
	sed 's/^/# /' "$work/watch.log"
ok "it ends by itself" holds 'document.querySelector("tbody .pill.ended")' 20
ok "the search finds it" type_in '#f-text' lesson
ok "it stays" holds 'document.querySelectorAll("tbody tr").length === 1'
type_in '#f-text' xyzzy >/dev/null
ok "the search finds nothing else" \
	holds 'document.querySelectorAll("tbody tr").length === 0 &&
		!document.querySelector(".empty").hidden'
go "$page/#/sessions" >/dev/null
ok "without the filter it is back" \
	holds 'document.querySelectorAll("tbody tr").length === 1'

# --- its video ---------------------------------------------------------------

ok "the session is opened" click 'tbody a'
ok "its page shows it" holds 'document.querySelector("h1").textContent
	.startsWith("lesson")'
# It is made when the session ends, or on request.
rendered()
{
	is_true 'document.querySelector("video")' && return 0
	click '.player button.primary:not([hidden])' >/dev/null 2>&1
	return 1
}
ok "its video is made" wait_for 120 rendered || finish
ok "the video is there" holds 'document.querySelector("video").readyState >= 1'
js '(document.querySelector("video").muted = true,
	document.querySelector("video").play(), 0)' >/dev/null
ok "it plays" holds 'document.querySelector("video").readyState >= 2 &&
	document.querySelector("video").currentTime > 0.5' 30
ok "it has a picture" is_true 'document.querySelector("video").videoWidth > 100'
js '(document.querySelector("video").currentTime = 3, 0)' >/dev/null
ok "it can be sought in" holds 'document.querySelector("video").readyState >= 2
	&& document.querySelector("video").currentTime >= 3'

# The pictures below it: the pointer shows one, a click goes there.
over()
{
	js "(() => {
		const strip = document.querySelector('.strip');
		const box = strip.getBoundingClientRect();
		strip.dispatchEvent(new PointerEvent('pointermove', {
			clientX: box.left + box.width / 2}));
		return getComputedStyle(document.querySelector(
			'.bubble div')).backgroundImage;
	})()"
}
ok "there are pictures of it" \
	holds 'document.querySelectorAll(".strip .frames div").length > 3'
shows_a_picture()
{
	over | grep -q thumbs.jpg && is_true \
		'!document.querySelector(".bubble").hidden &&
		document.querySelector(".bubble span").textContent'
}
ok "the pointer shows one" shows_a_picture
js '(document.querySelector("video").pause(),
	document.querySelector("video").currentTime = 0, 0)' >/dev/null
ok "a click on them" click '.strip'
ok "goes there" holds '(({currentTime, duration}) =>
	currentTime > duration * .4 && currentTime < duration * .6)(
	document.querySelector("video"))'
if [ -n "${SCREENSHOTS:-}" ]; then
	over >/dev/null
	wd GET /screenshot | base64 -d >"$SCREENSHOTS/session.png"
fi

# The page's cookie, in requests that the page did not make.
cookie=$(wd GET /cookie | jq -r '.[] | "\(.name)=\(.value)"')
video=$(js 'document.querySelector("video").src')
# answered STATUS CURL-OPTION...: what asking for the video is answered with.
answered()
{
	answered_status=$1
	shift
	[ "$(curl -s -o "$work/part" -w '%{http_code}' "$@" "$video")" = \
		"$answered_status" ]
}
ok "a part of it can be asked for" answered 206 -b "$cookie" \
	-r 100-199
ok "it is that part" sh -c "[ \$(wc -c <'$work/part') = 100 ]"
ok "a page of another site gets none" answered 403 -b "$cookie" \
	-H 'Origin: http://evil.example' -H 'Sec-Fetch-Site: cross-site'
ok "nor one under another name for this host" answered 403 \
	-b "$cookie" -H 'Host: evil.example'
ok "nor anybody without the cookie" answered 401

# The same file by the command line, where there is no room for it.
no_room()
{
	ctl session export "$(ctl --json session list | jq -r '.[0].id')" \
		--video /dev/full 2>&1 | grep 'No space left'
}
ok "a full disk is told as that" no_room

# A small telephone's window, and the browser's own again.
narrow()
{
	wd POST /goog/cdp/execute '{"cmd":
		"Emulation.setDeviceMetricsOverride", "params": {"width": 360,
		"height": 640, "deviceScaleFactor": 1, "mobile": true}}' \
		>/dev/null
}
wide()
{
	wd POST /goog/cdp/execute '{"cmd":
		"Emulation.clearDeviceMetricsOverride", "params": {}}' >/dev/null
}
# fits WHAT: nothing of the page is wider than the window.
fits()
{
	ok "$1 fits 360 pixels" is_true \
		'innerWidth === 360 &&
		document.documentElement.scrollWidth <= 360'
}
narrow
fits "a session with its video"
wide

button()
{
	js "[...document.querySelectorAll('.actions button')].findIndex(
		(b) => b.textContent === '$1' && !b.hidden)"
}
press()
{
	js "((b) => (b.focus(), b.click(), 0))(
		[...document.querySelectorAll('.actions button')].find(
		(b) => b.textContent === '$1' && !b.hidden))"
}
ok "verify is pressed" press Verify
ok "the recording is whole" \
	holds 'document.querySelector(".actions .notice.good")?.textContent
		.includes("whole")'
ok "replay is pressed" press Replay
ok "its viewer's file is downloaded" wait_for 20 \
	sh -c "ls '$work/downloads' | grep -q '^replay-.*vv\$'"
ok "hold is pressed" press Hold
ok "it is held" holds 'document.querySelector(".pill.held")'
ok "release is pressed" press Release
ok "it is not held" holds '!document.querySelector(".pill.held")'
ok "delete asks first" press Delete
ok "its question is open" holds 'document.querySelector("dialog[open]")'
ok "no is the answer" click 'dialog button[value=no]'
ok "the keyboard is where it was" \
	is_true 'document.activeElement.textContent === "Delete"'
ok "it is still there" sh -c "sleep 0.5; [ \"\$('$BUILDDIR/mediavmctl' \
	--socket '$run/api.sock' --json session list | jq length)\" = 1 ]"
ok "delete again" press Delete
holds 'document.querySelector("dialog[open]")'
ok "yes is the answer" click 'dialog button[value=yes]'
ok "the list is empty" holds 'location.hash === "#/sessions" &&
	document.querySelectorAll("tbody tr").length === 0'

# --- events, errors, a small screen, logout ----------------------------------

go "$page/#/events" >/dev/null
ok "events are listed" holds 'document.querySelector("tbody").textContent
	.includes("ticket for lesson")'
ctl vault create other --memory 256M --disk-size 64M >/dev/null
ok "a new one appears by itself" \
	holds 'document.querySelector("tbody tr").textContent
		.includes("other was made")'
go "$page/#/vaults" >/dev/null
ok "both vaults are listed" \
	holds 'document.querySelectorAll("[data-vault]").length === 2'
ok "the guest shall end at once" \
	click '[data-vault=lesson] [aria-label="Force lesson off"]'
ok "it is asked whether it really shall" \
	holds 'document.querySelector("dialog[open]").textContent
		.includes("End lesson now?")'
ok "it shall" click 'dialog button[value=yes]'
ok "it is stopped" holds "$card.querySelector('.pill.stopped')" 30
ok "a SPICE server can be attached" \
	click '.head button:nth-child(3)'
type_in '#attach-name' far >/dev/null
type_in '#attach-spice' 127.0.0.1:9 >/dev/null
ok "attach is clicked" click 'dialog button.primary'
ok "that none answers is said" holds 'document.querySelector(
	"dialog .notice.bad")?.textContent.includes("127.0.0.1:9")'
js 'document.querySelector("dialog").close() || 0' >/dev/null
ok "a guest of libvirt can be taken over" \
	click '.head button:nth-child(2)'
type_in '#adopt-xml' '<domain type="qemu"/>' >/dev/null
ok "take over is clicked" click 'dialog button.primary'
ok "what is missing is said" \
	holds 'document.querySelector("dialog .notice.bad")'
js 'document.querySelector("dialog").close() || 0' >/dev/null
ok "a new vault is asked for" click '.head button.primary'
type_in '#new-name' lesson >/dev/null
type_in '#new-os' win11 >/dev/null
js 'document.activeElement.blur() || 0' >/dev/null
ok "Windows 11 gets what it asks for" is_true '(({elements: e}) =>
	e.firmware.value === "secure" && e.tpm.checked &&
	e.memory.value === "4")(document.querySelector("dialog form"))'
ok "create is clicked" click 'dialog button.primary'
ok "why not is said where it was asked" \
	holds 'document.querySelector("dialog .notice.bad")?.textContent
		.includes("lesson")'

# --- how a vault is kept -----------------------------------------------------

go "$page/#/vaults/lesson" >/dev/null
# keep TEXT: presses that button of the vault's page.
keep()
{
	js "[...document.querySelectorAll('.keeping button')].find(
		(b) => b.textContent === '$1' && !b.disabled &&
			!b.hidden).click() || 0"
}
ok "its page says that it is not sealed" \
	holds 'document.querySelector(".keeping .pill.none")'
ok "seal is pressed" keep Seal
ok "it is sealed" holds \
	'document.querySelector(".keeping .pill.running")?.textContent ===
		"sealed"' 60
ok "its snapshot is listed" \
	holds 'document.querySelector(".snapshots tbody").textContent
		.includes("sealed")'
ok "its fields are read" keep 'Read every field'
ok "and none differs" holds 'document.querySelector(".keeping")
	.textContent.includes("Every sealed field is as it was sealed") &&
	document.querySelectorAll(".keeping .long tbody tr").length > 100' 60
type_in '.keeping input[name=name]' before >/dev/null
ok "a snapshot is asked for" keep 'Make a snapshot'
ok "it is listed" holds 'document.querySelector(".snapshots tbody").textContent
	.includes("before")'
type_in '.keeping input[name=to]' "$work/lesson.mvault" >/dev/null
ok "export is pressed" keep Export
ok "it is done" holds 'document.querySelector(".works .notice.good")
	?.textContent.includes("Exporting: done")' 60
ok "the bundle is there" test -s "$work/lesson.mvault"
if [ -n "${SCREENSHOTS:-}" ]; then
	wd GET /screenshot | base64 -d >"$SCREENSHOTS/keeping.png"
fi
go "$page/#/vaults" >/dev/null
holds 'document.querySelector(".head button")'
ok "an import is asked for" click '.head button:not(.primary)'
type_in '#import-from' "$work/lesson.mvault" >/dev/null
ok "import is pressed" click 'dialog button.primary'
ok "why not is said" holds 'document.querySelector("dialog .notice.bad")
	?.textContent.includes("already")' 30
js 'document.querySelector("dialog").close() || 0' >/dev/null
click '.head button.primary' >/dev/null

narrow
fits "the form of a new vault"
for view in sessions vaults events vaults/lesson; do
	go "$page/#/$view" >/dev/null
	ok "$view is shown, and no dialog over it" \
		holds "document.querySelector('h1') &&
		location.hash === '#/$view' && !document.querySelector('dialog')"
	fits "$view"
done
# Errors that the page was told by the daemon are no faults of its own.
no_faults()
{
	wd POST /se/log '{"type": "browser"}' >"$work/console"
	cat "$work/console"
	[ "$(jq '[.[] | select(.level == "SEVERE" and
		(.message | test("status of (400|409|500)") | not))] | length' \
		"$work/console")" = 0 ]
}
ok "nothing went wrong in the browser" no_faults
wide
ok "log out is clicked" click '#logout'
ok "one is out" holds 'document.querySelector("h1").textContent ===
	"Not logged in"'
go "$page/vaults/lesson.vv" >/dev/null
ok "and gets no ticket" is_true 'document.body.textContent.includes(
	"not logged in")'
wd DELETE "" >/dev/null
finish
