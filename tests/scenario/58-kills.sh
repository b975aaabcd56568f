# Daemon, QEMU and jobs are killed (-9) at random moments of what changes or
# moves a vault: each time the vault is whole afterwards, in its old state or
# in the new one, and starts. At the end the player, bound to its machine, is
# the judge of one that went through all of it.
#
# A moment lies anywhere in the time that the operation takes when it is not
# disturbed, as it was measured in the beginning.
. "$SRCDIR/tests/scenario/lib.sh"
. "$SRCDIR/tests/scenario/lib_keep.sh"

rounds=${ROUNDS:-6}
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
	some_snapshots && step && ctl vault start "$vault"
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
	vault=sealed
	if ctl vault show $vault; then
		folder=$(folder_of $vault)
		chance 2
		[ "$chance" = 0 ] || [ ! -e "$folder/seal" ] || return 0
		ctl vault delete $vault --yes || return 1
	fi
	tiny_create $vault && folder=$(folder_of $vault) && step
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

# --- killing -----------------------------------------------------------------

# victims OPERATION: who can be killed in it.
victims()
{
	case $1 in
	running | seal) echo daemon qemu ;;
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

# undisturbed OPERATION: how long it takes; sets length_OPERATION.
undisturbed()
{
	"prepare_$1" >"$work/prepare" 2>&1 || {
		cat "$work/prepare"
		return 1
	}
	begin=$(now_ms)
	"run_$1" || return 1
	eval "length_$1=$(($(now_ms) - begin))"
	ended
}

# What runs is ended, without the time that a stop takes.
ended()
{
	for pid in $(pgrep -f "qemu-system.*$work/$host/"); do
		kill -9 "$pid"
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
	eval "chance \$((length_$1 * 11 / 10 + 1))"
	moment=$chance
	one_of $(victims "$1")
	victim=$one
	one=$chosen
	"run_$1" >"$work/run" 2>&1 &
	running=$!
	pause_ms "$moment"
	kill_one "$victim"
	wait $running
	[ -n "$daemon_pid" ] || daemon_start
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

round_of()
{
	vault=tiny
	folder=$tiny
	"prepare_$1" >"$work/prepare" 2>&1 || {
		cat "$work/prepare"
		return 1
	}
	chosen=$one
	snapshots >"$work/names"
	picture "$folder" | sort >"$work/old"
	disturbed "$1" || return 1
	[ "$1" != running ] || ended || return 1
	# A command makes what was interrupted whole, if nothing did before.
	is_whole "$vault" && old_or_new "$1" &&
		digests_agree "$vault" &&
		{ [ "$1" != seal ] || is_as_sealed; } &&
		files_are_known "$folder" && ctl vault start "$vault" && ended
}

host first
guest_build || bail "the guest could not be built"
daemon_start || bail "the daemon did not start"
vault=tiny
ok "a vault is made" tiny_create $vault || finish
folder=$(folder_of $vault)
tiny=$folder
number=1
outcome=unknown
operations="create running revert delete seal"
for operation in $operations; do
	ok "$operation, undisturbed" undisturbed "$operation" || finish
	eval "echo \"# takes \$length_$operation ms\""
done

round=0
while [ "$round" -lt "$rounds" ]; do
	round=$((round + 1))
	set -- ${ONLY:-$operations}
	shift $((round % $#))
	ok "round $round: $1" round_of "$1"
	failed=$?
	echo "# $1: $killed killed after $moment ms: $outcome"
	echo "$1 $killed $outcome" >>"$work/outcomes"
	[ $failed = 0 ] || finish
done
sort "$work/outcomes" | uniq -c | sed 's/^/# /'
finish
