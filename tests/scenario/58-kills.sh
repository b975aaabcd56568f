# Daemon, QEMU and jobs are killed (-9) at random moments of what changes or
# moves a vault: each time the vault is whole afterwards, in its old state or
# in the new one, nothing is left over, and it starts. (55-snapshot.sh does
# some of it to the player's vault.) ONLY="OPERATION..." does these only.
#
# Every third round of an operation, and every start, is of a vault with UEFI
# and a TPM, whose disk, variables and TPM must be of one state. A moment lies
# anywhere in the time that the operation takes when it is not disturbed, as it
# was measured before the first of its rounds.
. "$SRCDIR/tests/scenario/lib.sh"
. "$SRCDIR/tests/scenario/lib_keep.sh"

rounds=${ROUNDS:-7}
echo "# SEED=$seed ROUNDS=$rounds"

# --- the operations: what to prepare, what to run, what it makes of a picture

snapshots()
{
	ctl --json vault snapshot "$vault" list | jq -r '.[].name'
}

# Something new on the disk, so that states can be told from each other.
step()
{
	number=$((number + 1))
	tiny_write "$folder" $number
}

create()
{
	case $kind in
	uefi) tiny_create_uefi "$1" ;;
	*) tiny_create "$1" ;;
	esac
}

# A guest that runs changes its variables and its TPM's state.
start()
{
	ran=1
	ctl vault start "$vault"
}

# another NAME: a new vault takes the other's place.
another()
{
	vault=$1
	! ctl vault show "$1" 2>/dev/null || ctl vault delete "$1" --yes &&
		create "$1" && folder=$(folder_of "$1")
}

# There is one to go back to, and not more than a few.
some_snapshots()
{
	one_of $(snapshots)
	while [ "$(snapshots | wc -l)" -gt 4 ]; do
		one_of $(snapshots)
		ctl vault snapshot "$vault" delete "$one" --yes || return 1
	done
	[ "$(snapshots | wc -l)" -gt 0 ] ||
		ctl vault snapshot "$vault" create "first$number" || return 1
	one_of $(snapshots)
}

prepare_create()
{
	some_snapshots && step
}
run_create()
{
	ctl vault snapshot "$vault" create "c$number"
}
after_create()
{
	cat "$work/old"
	sed -n "s/^active/snapshot c$number/p" "$work/old"
}

# Of a guest that runs; QEMU may be killed as well.
prepare_running()
{
	some_snapshots && step && start
}
run_running()
{
	run_create
}
after_running()
{
	after_create
}

prepare_revert()
{
	some_snapshots && step
}
run_revert()
{
	ctl vault snapshot "$vault" revert "$one"
}
after_revert()
{
	# The name that it chooses has the time in it.
	kept=$(snapshots | grep '^before-' | grep -vwFf "$work/names")
	sed "s/^active/snapshot $kept/" "$work/old"
	sed -n "s/^snapshot $one /active /p" "$work/old"
}

prepare_delete()
{
	some_snapshots && step
}
run_delete()
{
	ctl vault snapshot "$vault" delete "$one" --yes
}
after_delete()
{
	grep -v "^snapshot $one " "$work/old"
}

# A vault that has no seal yet, or one that gets another.
prepare_seal()
{
	vault=sealed-$kind
	if ctl vault show $vault; then
		folder=$(folder_of $vault)
		chance 2
		[ "$chance" = 0 ] || [ ! -e "$folder/seal" ] || return 0
	fi
	another $vault && step
}
run_seal()
{
	ctl vault seal $vault --again
}
after_seal()
{
	epoch=$(sed -n 's/^seal \([0-9]*\) .*/\1/p' "$work/old")
	snapshot=sealed
	[ -z "$epoch" ] || snapshot=sealed-$((epoch + 1))
	echo "definition $(sha256sum <"$folder/seal/domain.xml" | cut -c 1-16)"
	sed -n "s/^active/snapshot $snapshot/p" "$work/old"
	if [ -n "$epoch" ]; then
		# It is the same machine.
		sed "s/^seal $epoch /seal $((epoch + 1)) /" "$work/old"
	else
		cat "$work/old"
		jq -r '"seal 1 \(.digest)"' "$folder/seal/fingerprint.json"
	fi | grep -v ^definition
}

# A bundle of it; of a guest that runs every other time.
prepare_export()
{
	some_snapshots && step && rm -f "$work/tiny.mvault" || return 1
	chance 2
	[ "$chance" = 0 ] || start
}
run_export()
{
	ctl vault export $vault "$work/tiny.mvault"
}
# traces_go COMMAND: those of an export that was finished. The same command ends
# it, or where it was killed still later finds the name taken.
traces_go()
{
	[ -e "$folder/export" ] || return 0
	"$1" >"$work/again" 2>&1 || grep 'is there already' "$work/again" ||
		return 1
	[ ! -e "$folder/export" ]
}
# Goes on with what is there; or is another order, and nothing of that is left.
finish_export()
{
	outcome=new
	ended || return 1
	[ -e "$work/tiny.mvault" ] || {
		outcome=old
		chance 3
		if [ "$chance" = 0 ]; then
			ctl vault export $vault "$work/other.mvault" &&
				mv "$work/other.mvault" "$work/tiny.mvault"
		else
			run_export
		fi
	} || return 1
	[ ! -e "$work/tiny.mvault.part" ] &&
		ctl vault import --check "$work/tiny.mvault" || return 1
	traces_go run_export || return 1
	is_old
}

# It moves to the other host, and is then there, and here no more.
prepare_move()
{
	rm -f "$work/mover.mvault"
	another mover && step
}
run_move()
{
	ctl vault export $vault "$work/mover.mvault" --move --yes
}
finish_move()
{
	outcome=old
	is_old || return 1
	if ctl vault start $vault; then
		ran=1
		ended && picture "$folder" | sort >"$work/old" || return 1
	else
		outcome=new
	fi
	[ -e "$work/mover.mvault" ] || run_move || return 1
	traces_go run_move || return 1
	! ctl vault start $vault && files_are_known "$folder" || return 1
	ctl vault delete $vault --yes || return 1
	host second
	ctl vault import "$work/mover.mvault" &&
		folder=$(folder_of mover) && is_old && is_whole mover &&
		starts mover && ctl vault delete mover --yes
	moved=$?
	host first
	return $moved
}

# On the other host.
prepare_import()
{
	host second
	vault=copy
	! ctl vault show copy 2>/dev/null || ctl vault delete copy --yes
}
run_import()
{
	ctl vault import "$work/$kind.mvault" --name copy
}
finish_import()
{
	outcome=new
	ctl vault show copy >/dev/null 2>&1 || {
		outcome=old
		[ "$(ls "$state/vaults" | wc -l)" = 0 ] && run_import
	} || return 1
	[ -z "$(ls "$state/import" 2>/dev/null)" ] || {
		ls -lR "$state/import"
		return 1
	}
	folder=$(folder_of copy)
	cp "$work/$kind.picture" "$work/old"
	is_old || return 1
	! ctl vault start copy && ctl vault restore copy --yes \
		--statement "the other one is retired"
}

# Its first start; every other time with a TPM that has no state yet, and gets
# it from libvirt.
prepare_start()
{
	chance 2
	new_tpm=$chance
	ran=1
	another starter && step || return 1
	[ "$new_tpm" = 0 ] || rm -r "$folder/tpm/tpm2"
}
run_start()
{
	start
}
# It starts at once, whatever of the first start is still about.
finish_start()
{
	outcome=old
	[ "$(qemu_count)" = 0 ] || {
		outcome=new
		ended || return 1
	}
	[ "$new_tpm" = 1 ] || is_old || return 1
	starts $vault && [ -s "$folder/tpm/tpm2/$tpm_file" ]
}

# --- killing -----------------------------------------------------------------

# victims OPERATION: who can be killed in it.
victims()
{
	case $1 in
	running | seal) echo daemon qemu ;;
	start) echo daemon daemon qemu ;;
	export) echo daemon job job qemu ;;
	move | import) echo daemon job ;;
	*) echo daemon ;;
	esac
}

victim_pids()
{
	case $1 in
	qemu) pgrep -f "qemu-system.*$work/$host/" ;;
	job) pgrep -P "$daemon_pid" -f 'mediavmd job' ;;
	esac
}

# appears WHO: until one of them is there, or the command has ended.
appears()
{
	while [ -z "$(victim_pids "$1")" ] && kill -0 $running 2>/dev/null; do
		sleep 0.005
	done
}

# kill_one WHO: the daemon if there is none of them just now; sets $killed.
kill_one()
{
	pids=$(victim_pids "$1")
	if [ -n "$pids" ]; then
		killed=$1
		kill -9 $pids 2>/dev/null
	else
		killed=daemon
		daemon_kill
	fi
}

prepare()
{
	vault=tiny-$kind
	folder=$(folder_of $vault)
	ran=
	"prepare_$1" >"$work/prepare" 2>&1 || {
		cat "$work/prepare"
		return 1
	}
}

# undisturbed OPERATION: how long it takes; sets length_OPERATION_KIND.
undisturbed()
{
	prepare "$1" || return 1
	begin=$(now_ms)
	"run_$1" || return 1
	eval "length_$1_$kind=$(($(now_ms) - begin))"
	ended
	host first
}

# What runs is ended, without the time that a stop takes.
ended()
{
	for pid in $(pgrep -f "qemu-system.*$work/$host/"); do
		kill -9 "$pid" 2>/dev/null
	done
	wait_for 10 is_stopped
}
is_stopped()
{
	ctl --json vault show "$vault" |
		jq -e '.state == "stopped" or .state == "crashed"'
}

# disturbed OPERATION: kills somebody in it; sets $moment and $killed.
disturbed()
{
	eval "length=\$length_$1_$kind"
	chance $((length * 11 / 10 + 1))
	moment=$chance
	one_of $(victims "$1")
	victim=$one
	one=$chosen
	"run_$1" >"$work/run" 2>&1 &
	running=$!
	[ "$victim" = daemon ] || {
		appears "$victim"
		moment=$((moment / 4))
	}
	pause_ms "$moment"
	# The time that it takes depends on what else the machine does.
	if kill -0 $running 2>/dev/null; then
		eval "length_$1_$kind=\$((length * 21 / 20 + 1))"
	else
		eval "length_$1_$kind=\$((length * 9 / 10))"
	fi
	kill_one "$victim"
	wait $running
	[ -n "$daemon_pid" ] || daemon_start
}

is_old()
{
	picture "$folder" | sort | diff "$work/old" -
}

# The picture is the old one or the new one; sets $outcome.
old_or_new()
{
	picture "$folder" | sort >"$work/now"
	outcome=old
	cmp -s "$work/old" "$work/now" && return
	outcome=new
	"after_$1" | sort >"$work/new"
	cmp -s "$work/new" "$work/now" && return
	echo "neither the old state:"
	diff "$work/old" "$work/now"
	echo "nor the new one:"
	diff "$work/new" "$work/now"
	outcome=neither
	return 1
}

# A sealed machine is probed again, and compared.
is_as_sealed()
{
	[ "$outcome" = old ] || ctl vault verify "$vault"
}

# Which of the two it is, and to its end if that can still come.
decide()
{
	case $1 in
	export | move | import | start) "finish_$1" ;;
	running) ended && old_or_new "$1" ;;
	*) old_or_new "$1" ;;
	esac
}

# check OPERATION: what it left is whole.
check()
{
	decide "$1" || return 1
	[ "$1" != move ] || return 0
	is_whole "$vault" && digests_agree "$vault" || return 1
	[ "$1" != seal ] || is_as_sealed || return 1
	ctl vault start "$vault" && ended
}

round_of()
{
	outcome=unknown
	killed=nobody
	moment=0
	prepare "$1" || return 1
	chosen=$one
	[ "$1" = import ] || {
		snapshots >"$work/names"
		picture "$folder" | sort >"$work/old"
	}
	disturbed "$1" || return 1
	check "$1" || {
		echo "the command said:"
		cat "$work/run"
		return 1
	}
	host first
}

host second
mkdir -p "$state/import/0123.done"
echo '{}' >"$state/import/0123.done/plan"
daemon_start || bail "the second daemon did not start"
ok "what was left of an import when it was done is taken away" \
	[ -z "$(ls "$state/import")" ]
host first
daemon_start || bail "the daemon did not start"
number=1
outcome=unknown
operations="create running revert start export seal move import delete"
for kind in bios uefi; do
	vault=tiny-$kind
	ran=
	ok "a vault is made, $kind" create $vault || finish
	folder=$(folder_of $vault)
	prepare_create && run_create && step || bail "no snapshot"
	ok "a bundle is made" ctl vault export $vault "$work/$kind.mvault" ||
		finish
	picture "$folder" | sort >"$work/$kind.picture"
done

# QEMU is killed while it is being paused: nothing of the snapshot is left when
# the command has ended, however late libvirt hears of the kill.
paused()
{
	[ -e "$folder/snapshots/.paused" ]
}
killed_in_pause()
{
	start || return 1
	pids=$(victim_pids qemu)
	kill -STOP $pids
	ctl vault snapshot "$vault" create pause &
	running=$!
	wait_for 10 paused
	kill -9 $pids
	! wait $running && files_are_known "$folder"
}
for time in first second third; do
	ok "QEMU is killed in a pause, the $time time" killed_in_pause
done

# An export that was killed when its file had just been made, and another order.
killed_early()
{
	mkdir "$folder/export" && : >"$work/early.part" &&
		echo "{\"to\":\"$work/early\",\"moved\":false," \
			"\"target\":\"\",\"ready\":true,\"part\":[]}" \
			>"$folder/export/order.json" &&
		ctl vault export $vault "$work/late.mvault" &&
		[ ! -e "$work/early.part" ] && rm "$work/late.mvault"
}
ok "of an export that was killed early nothing is left" killed_early

round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	set -- ${ONLY:-$operations}
	kind=bios
	[ $(((round % $# + round / $#) % 3)) != 1 ] || kind=uefi
	shift $((round % $#))
	[ "$1" != start ] || kind=uefi
	eval "length=\${length_$1_$kind:-}"
	[ -n "$length" ] || {
		ok "$1 $kind, undisturbed" undisturbed "$1" || finish
		eval "echo \"# takes \$length_$1_$kind ms\""
	}
	ok "round $round: $1 $kind" round_of "$1"
	failed=$?
	echo "# $1 $kind: $killed killed after $moment ms: $outcome"
	echo "$1 $kind $killed $outcome" >>"$work/outcomes"
	[ $failed = 0 ] || finish
done
sort "$work/outcomes" | uniq -c | sed 's/^/# /'
finish
