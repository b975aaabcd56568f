# What is frozen of a vault: all its disks, raw ones that look like others, those
# adopted in place, TPM copies; digests made in the background, resumed after
# kill -9; verifications by schedule that find what has changed.
. "$SRCDIR/tests/scenario/lib.sh"

images=$work/images
mkdir "$images"

# adopt NAME UUID [OPTION]: a guest with a qcow2 disk and a raw one beside it.
adopt()
{
	cat >"$work/$1.xml" <<-END
	<domain type='qemu'>
	  <name>$1</name><uuid>$2</uuid>
	  <memory unit='MiB'>512</memory><vcpu>1</vcpu>
	  <os><type arch='x86_64' machine='q35'>hvm</type>
	    <kernel>$kernel</kernel><initrd>$initrd</initrd>
	    <cmdline>$cmdline</cmdline></os>
	  <features><acpi/><apic/></features>
	  <cpu mode='custom' match='exact'><model>Westmere</model></cpu>
	  <devices>
	    <disk type='file' device='disk'>
	      <driver name='qemu' type='qcow2'/>
	      <source file='$images/$1.qcow2'/><target dev='sda' bus='sata'/>
	    </disk>
	    <disk type='file' device='disk'>
	      <driver name='qemu' type='raw'/>
	      <source file='$images/$1.raw'/><target dev='sdb' bus='sata'/>
	    </disk>
	    <video><model type='qxl'/></video>
	    <serial type='null'/>
	  </devices>
	</domain>
	END
	cp "$lesson" "$images/$1.qcow2"
	truncate -s 8M "$images/$1.raw"
	# To whoever guesses it is a qcow2 image on a file of the host.
	qemu-img create -q -u -f qcow2 -b /etc/passwd -F raw "$images/head" 8M
	dd if="$images/head" of="$images/$1.raw" conv=notrunc status=none
	ctl vault adopt "$work/$1.xml" $3
}

folder_of()
{
	echo "$state/vaults/$(ctl --json vault show "$1" | jq -r .uuid)"
}
snapshot()
{
	snapshot_of=$1
	shift
	ctl vault snapshot "$snapshot_of" "$@"
}
# active VAULT DISK: the file that the guest writes to.
active()
{
	ctl --json vault show "$1" |
		jq -r ".disks[] | select(.target == \"$2\").path"
}
# As a guest would: PATTERN into 64 KiB of a disk.
put()
{
	qemu-io -f "$(ctl --json vault show "$1" |
		jq -r ".disks[] | select(.target == \"$2\").format")" \
		-c "write -P $3 1M 64k" "$(active "$1" "$2")" >/dev/null
}
holds()
{
	qemu-io -r -f "$(ctl --json vault show "$1" |
		jq -r ".disks[] | select(.target == \"$2\").format")" \
		-c "read -P $3 1M 64k" "$(active "$1" "$2")" >"$work/io" 2>&1 &&
		! grep -q failed "$work/io"
}
both_hold()
{
	holds "$1" sda "$2" && holds "$1" sdb "$3"
}
digested()
{
	ctl --json vault show "$1" | jq -e .verification.digested
}
is_refused()
{
	refusal=$1
	shift
	! "$@" >"$work/refused" 2>&1 && grep "$refusal" "$work/refused"
}
restart()
{
	kill -9 "$daemon_pid"
	wait "$daemon_pid" 2>/dev/null
	daemon_start
}

guest_build || bail "the guest could not be built"
daemon_start || bail "the daemon did not start"

# Two disks, of which the raw one looks like something else.
ok "a guest with a strange raw disk is adopted" \
	adopt two 5a6b7c8d-0000-4000-8000-000000000001 "" || finish
two=$(folder_of two)
ok "its format is the definition's" test \
	"$(ctl --json vault show two | jq -r '[.disks[].format] | join(" ")')" \
	= "qcow2 raw"
put two sda 1 && put two sdb 11
ok "a snapshot of both" snapshot two create one
put two sda 2 && put two sdb 12
ok "it starts with both" ctl vault start two || finish
ok "a snapshot while it runs" snapshot two create two
both_switched()
{
	qemu_files=$(ls -l "/proc/$(guest_pid two)/fd" | grep "$two/disks")
	for disk in sda sdb; do
		echo "$qemu_files" | grep "$(active two $disk)\$" || return 1
	done
}
ok "the guest has both new layers" both_switched
ok "which know what they hold" test "$(ctl --json vault snapshot two list |
	jq -c '[.[].layers | map(.disk)]')" = '[["sda","sdb"],["sda","sdb"]]'
ctl vault stop --force two >/dev/null
put two sda 3 && put two sdb 13
ok "back to the first" snapshot two revert one
ok "both disks are" both_hold two 1 11
ok "forward to the second" snapshot two revert two
ok "both disks are" both_hold two 2 12
ok "all of it verifies" ctl vault verify two --deep

# The same in the way of a version that knew the first disk only.
names=$(ctl --json vault snapshot two list | jq -r '.[].name')
for name in $(echo "$names" | grep before-); do
	snapshot two delete "$name" --yes >/dev/null
done
old_layers()
{
	jq '(.disks[0].base) as $base | .layers as $all |
		def mine: [recurse(.backing as $b | $all[] |
			select(.file == $b))] | last.file == $base;
		{version: 1, base: $base, size: .disks[0].size,
		next: .next, active: .disks[0].active, parent: .parent,
		restore: .restore, layers: [.layers[] | select(mine)],
		snapshots: [.snapshots[] | .layer = .layers[0] | del(.layers)]}' \
		"$two/disks/layers.json" >"$work/layers.json" &&
		(cd "$two/disks" && qemu-img convert -U -O raw \
			"$(basename "$(active two sdb)")" sdb.new &&
			mv sdb.new sdb.raw) &&
		rm -f "$two"/digests/sdb* "$two"/digests/layer-* &&
		cp "$work/layers.json" "$two/disks/layers.json"
}
ok "layers.json of version 1" old_layers
ok "is understood, the second disk as it is" both_hold two 2 12
ok "a revert leaves what the snapshot does not know" \
	snapshot two revert one
ok "as it was" both_hold two 1 12
ok "and all of it verifies" ctl vault verify two --deep

# In place: the first state stays in the files outside, the rest is here.
ok "a guest is adopted in place" \
	adopt place 5a6b7c8d-0000-4000-8000-000000000002 --in-place
place=$(folder_of place)
put place sda 1 && put place sdb 11
sha256sum "$images/place.qcow2" "$images/place.raw" >"$work/outside"
ok "a snapshot of it" snapshot place create one
put place sda 2 && put place sdb 12
ok "leaves the files outside as they are" sha256sum -c "$work/outside"
ok "it starts" ctl vault start place
ctl vault stop --force place >/dev/null
ok "it reverts" snapshot place revert one
ok "to what it was" both_hold place 1 11
ok "and back" snapshot place revert \
	"$(ctl --json vault snapshot place list | jq -r 'last.name')"
ok "to what it became" both_hold place 2 12
for name in $(ctl --json vault snapshot place list | jq -r '.[].name'); do
	snapshot place delete "$name" --yes >/dev/null
done
ok "without snapshots, the files outside hold it all" test \
	"$(active place sda) $(active place sdb) $(echo $(ls "$place/disks"))" \
	= "$images/place.qcow2 $images/place.raw layers.json sda.qcow2 sdb.raw"
ok "as it was last" both_hold place 2 12

# It goes into a bundle, and comes out with its disks in the vault.
snapshot place create two >/dev/null
put place sda 3 && put place sdb 13
qemu-img rebase -u -b "$images/two.qcow2" -F qcow2 "$images/place.qcow2"
ok "not with a disk that has come to need another" is_refused \
	'place.qcow2 needs the other image .*two.qcow2; flatten it' \
	ctl vault export place "$work/place.mvault"
qemu-img rebase -u -b "" "$images/place.qcow2"
# While somebody writes to it.
mkfifo "$work/hold"
qemu-io -f raw "$images/place.raw" <"$work/hold" >"$work/written" &
writer=$!
exec 7>"$work/hold"
echo "write -P 11 1M 512" >&7
ok "another program writes to a disk" wait_for 10 grep -q wrote "$work/written"
ok "meanwhile it is not exported" is_refused \
	'another program writes to the disk .*place.raw: end that' \
	ctl vault export place "$work/place.mvault"
exec 7>&-
wait $writer
qemu-io -f raw -c "write -P 12 1M 512" "$images/place.raw" >/dev/null
sha256sum "$images/place.qcow2" "$images/place.raw" >"$work/outside"
ok "it is exported" ctl vault export place "$work/place.mvault" --move
ok "the vault is deleted" ctl vault delete place --yes
ok "the files outside stay as they are" sha256sum -c "$work/outside"
ok "the vault is imported" ctl vault import "$work/place.mvault"
is_inside()
{
	ctl --json vault show place | jq -e --arg folder "$place/disks/" \
		'.disks | length == 2 and all(.in_place == false and
		(.path | startswith($folder)))' &&
		[ -f "$place/disks/sda.qcow2" ] &&
		[ -z "$(find "$place" -type l)" ]
}
ok "its disks are in it" is_inside
rm "$images/place.qcow2" "$images/place.raw"
ok "as they were" both_hold place 3 13
ok "with the snapshot" snapshot place revert two
ok "as it was" both_hold place 2 12
ok "all of it verifies" ctl vault verify place --deep

# In the way of a version that named such disks by their paths.
adopt old 5a6b7c8d-0000-4000-8000-000000000003 --in-place >/dev/null
old=$(folder_of old)
sed -i -e "s|$old/disks/sda.qcow2|$images/old.qcow2|" \
	-e "s|$old/disks/sdb.raw|$images/old.raw|" "$old/domain.xml"
rm "$old"/disks/sd*
put old sda 1 && put old sdb 11
ok "disks that the definition names by their paths" snapshot old create one
put old sda 2 && put old sdb 12
ok "can be reverted" snapshot old revert one
ok "to what they were" both_hold old 1 11
ok "but not exported" is_refused 'names the disk .*old.qcow2.*adopt' \
	ctl vault export old "$work/old.mvault"
ctl vault delete old --yes >/dev/null

# Compressed: read through qemu-nbd, slowly; the daemon is killed meanwhile.
qemu-img convert -c -O qcow2 "$lesson" "$images/slow.qcow2"
daemon_stop
daemon_config '[verify]' 'rate = 2'
daemon_start
ok "a vault with a compressed disk and a TPM" ctl vault create slow \
	--memory 512M --tpm --disk "$images/slow.qcow2" --kernel "$kernel"
slow=$(folder_of slow)
mkdir -p "$slow/tpm/tpm2"
echo key-1 >"$slow/tpm/tpm2/tpm2-00.permall"
ok "its snapshot is there at once" snapshot slow create one
grows()
{
	[ "$(stat -c %s "$slow"/digests/*.part)" -gt 600 ]
}
ok "its digests grow in the background" wait_for 20 grows
job()
{
	ctl --json vault show slow | jq -r .uuid >"$work/uuid"
	sqlite3 "$state/catalog.db" "SELECT $2 FROM job WHERE kind = '$1' AND \
		session = '$(cat "$work/uuid")' ORDER BY seq DESC LIMIT 1"
}
ok "as a job" test "$(job digest state)" = running
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
no_children()
{
	! pgrep -f "qemu-nbd.*$work"
}
ok "killed, the daemon leaves no qemu-nbd" wait_for 5 no_children
daemon_config
daemon_start
ok "the next one goes on with it" wait_for 20 digested slow
read_less()
{
	[ "$(job digest state)" = done ] || return 1
	job digest result | jq '.made, .bytes'
	job digest result | jq -e '.made == 1 and .bytes < 17000000'
}
ok "where it was" wait_for 5 read_less
ok "the digest is that of what is seen" sh -c "
	qemu-img convert -U -O raw '$slow/disks/disk.qcow2' '$work/seen' &&
	dd if='$work/seen' bs=256k skip=3 count=1 status=none |
		sha256sum | cut -c1-64 >'$work/a' &&
	od -An -v -tx1 -j $((64 + 3 * 32)) -N 32 \
		'$slow/digests/disk.qcow2.tree' | tr -d ' \\n' >'$work/b' &&
	echo >>'$work/b' && diff '$work/a' '$work/b'"

# A verification that is killed is gone on with as well.
verified()
{
	ctl --json vault show slow |
		jq -e ".verification.state == \"$1\" and (.verification.at != null)"
}
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
daemon_config '[verify]' 'rate = 2'
daemon_start
ctl vault policy slow verify=1s >/dev/null
ok "it is verified by itself" wait_for 20 grows
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
daemon_config
daemon_start
ok "and when killed, goes on and ends well" wait_for 20 verified good
verify_read_less()
{
	sqlite3 "$state/catalog.db" "SELECT result FROM job \
		WHERE kind = 'verify' AND state = 'done' AND \
		session = '$(cat "$work/uuid")' \
		ORDER BY seq" | grep . | head -1 |
		jq -e '.layers == 1 and .bytes < 17000000'
}
ok "where it was" verify_read_less
# A clock that was wrong, and has been set right since.
sqlite3 "$state/catalog.db" "UPDATE verification SET at = at + 315360000000000"
kill -9 "$daemon_pid"
wait "$daemon_pid" 2>/dev/null
daemon_start
is_now()
{
	[ "$(ctl --json vault show slow | jq -r '.verification.at[:10]')" = \
		"$(date -u +%F)" ]
}
ok "one of the future counts for nothing" wait_for 20 is_now
ctl vault policy slow verify=off >/dev/null

# What changes is found: small files of a snapshot, and a block of the disk.
ctl vault snapshot two list >/dev/null
echo key-2 >"$slow/snapshots/one/tpm/tpm2/tpm2-00.permall"
ok "a changed TPM copy is found" is_refused \
	'snapshots/one/tpm/tpm2/tpm2-00.permall has changed' \
	ctl vault verify slow --deep
rm "$slow/snapshots/one/tpm/tpm2/tpm2-00.permall"
ok "a missing one as well" is_refused 'tpm2-00.permall is missing' \
	ctl vault verify slow --deep
echo key-1 >"$slow/snapshots/one/tpm/tpm2/tpm2-00.permall"
ok "put back, all is well" ctl vault verify slow --deep
ok "as the list of sha256sum says" sh -c "
	cd '$slow/snapshots/one' && sha256sum -c files.sha256"
flip()
{
	byte=$(od -A n -t u1 -j 1200000 -N 1 "$two/disks/sda.qcow2")
	printf "$(printf '\\%03o' $((byte ^ 1)))" | dd status=none conv=notrunc \
		bs=1 seek=1200000 of="$two/disks/sda.qcow2"
}
ok "the digests of the first vault are there" wait_for 20 digested two
flip
ctl vault policy two verify=1s >/dev/null
damaged()
{
	ctl --json vault show two |
		jq -e '.verification | .state == "damaged" and
			.damage[0].file == "disks/sda.qcow2" and
			.damage[0].disk == "sda" and
			(.damage[0].to - .damage[0].from) == 262144'
}
ok "a bit that flipped is found by the schedule, with its block" \
	wait_for 20 damaged
told()
{
	ctl doctor >"$work/doctor"
	grep 'frozen of two has changed' "$work/doctor" &&
		ctl vault show two | grep 'damaged.*sda.qcow2 has changed' &&
		ctl vault list | grep '^two.*damaged' &&
		ctl --json events --type vault.verified |
		jq -e 'any(.vault == "two" and .state == "damaged" and .scheduled)' &&
		curl -s --unix-socket "$run/api.sock" http://localhost/metrics |
		grep '^mediavm_vault_damaged{vault="two"} 1'
}
ok "doctor, list, events and metrics tell" told
flip
good_again()
{
	ctl --json vault show two | jq -e '.verification.state == "good"'
}
ok "flipped back, the next one finds it good" wait_for 20 good_again

# The whole state folder at another place.
daemon_stop
mv "$state" "$work/moved"
state=$work/moved
ok "moved elsewhere, the daemon finds it all" daemon_start
ok "and the state of both disks" both_hold two 1 12
ok "a snapshot" snapshot two create moved
ok "a start" ctl vault start two
ctl vault stop --force two >/dev/null
ok "and a verification work" ctl vault verify two --deep

# What a verification that was interrupted leaves: good while nobody writes to
# what it is of, and the clock is right.
ctl vault policy two verify=off >/dev/null
two=$(folder_of two)
quiet()
{
	[ "$(sqlite3 "$state/catalog.db" "SELECT count(*) FROM job \
		WHERE state = 'running'")" = 0 ]
}
finds_it()
{
	is_refused 'sda.qcow2 has changed' ctl vault verify two --deep
}
wait_for 20 quiet
touch "$two/digests/sda.qcow2.checked"
flip
ok "a layer that was written to after it was checked is read" finds_it
touch -d 'next year' "$two/digests/sda.qcow2.checked"
ok "and one that is to be checked next year" finds_it
flip
{
	head -c 32 "$two/digests/sda.qcow2.tree"
	head -c 32 /dev/zero
	tail -c +65 "$two/digests/sda.qcow2.tree" | head -c 640
} >"$two/digests/sda.qcow2.part"
flip
ok "so are blocks that were read before" finds_it
flip
printf X | dd status=none conv=notrunc of="$two/disks/sda.qcow2"
no_image()
{
	is_refused 'disks/sda.qcow2 .*not' ctl vault verify two --deep &&
		ctl --json vault show two |
		jq -e '.verification.state == "damaged"' &&
		sqlite3 "$state/catalog.db" "SELECT result FROM job \
			WHERE kind = 'verify' ORDER BY seq DESC LIMIT 1" |
		jq -e '.layers > 1'
}
ok "an image that is none any more is damage, and the rest is read" no_image
printf Q | dd status=none conv=notrunc of="$two/disks/sda.qcow2"
ok "with its head again all is well" ctl vault verify two --deep

# A join that was cut when it was all but decided, and goes the other way.
ok "a vault with layers to join" ctl vault create joined --memory 64M \
	--cpus 1 --disk "$images/slow.qcow2"
joined=$(folder_of joined)
for name in a b c; do
	snapshot joined create $name >/dev/null
	qemu-io -f qcow2 -c "write -P 7 1M 64k" "$(active joined sda)" >/dev/null
done
cut_join()
{
	(cd "$joined/disks" && qemu-img commit -q -d layer-2.qcow2 &&
		qemu-img rebase -q -u -b layer-1.qcow2 -F qcow2 layer-3.qcow2 &&
		head -c 4194304 /dev/urandom >>layer-2.qcow2)
}
ok "is cut" cut_join
snapshot joined delete b --yes >/dev/null
ok "and leaves good images" sh -c "cd '$joined/disks' &&
	[ ! -e layer-1.qcow2 ] && qemu-img check -q layer-3.qcow2 &&
	qemu-io -r -f qcow2 -c 'read -P 7 1M 64k' layer-3.qcow2"

# What a snapshot of a running guest leaves is joined when nobody uses it.
layers()
{
	jq '.layers | length' "$state/vaults/$(basename "$two")/disks/layers.json"
}
held=$(layers)
ctl vault start two >/dev/null
snapshot two create a >/dev/null
snapshot two create b >/dev/null
ctl vault stop --force two >/dev/null
snapshot two delete b --yes >/dev/null
ctl vault start two >/dev/null
snapshot two delete a --yes >/dev/null
ok "deleted while it runs, a snapshot's layers stay" \
	test "$(layers)" -gt "$held"
ctl vault stop --force two >/dev/null
touch -d '11 minutes ago' "$(active two sda)" "$(active two sdb)"
ctl vault policy two verify=off >/dev/null
joined()
{
	[ "$(layers)" = "$held" ]
}
ok "until it has been stopped for a while" wait_for 20 joined
ok "and show the same" both_hold two 1 12
finish
