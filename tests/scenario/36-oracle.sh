# The decoder beside two others: random sessions of libspice-server are equal
# to what the server draws itself and to what spice-client-glib makes of them,
# after every message; see tests/oracle/run. make oracle runs many more.
. "$SRCDIR/tests/scenario/lib.sh"

# Every compression, with and without JPEG and zlib, and every video codec.
seeds='1-17 24 32'

equal()
{
	ORACLE_SEEDS=$seeds ORACLE_KEEP=$work sh "$SRCDIR/tests/oracle/run" \
		>"$work/oracle"
	cat "$work/oracle"
	! grep '^differs' "$work/oracle"
}
ok "random sessions are equal in all three" equal
ok "with every drawing and every form of image" sh -c \
	"! grep '^never' '$work/oracle' && grep -q '^image glz' '$work/oracle'"
shown()
{
	awk '/^checked/ { n[$2] = $3 }
		END { exit !(n["compared"] > 1000 && n["offscreen"] > 100 &&
			n["cursors"] > 100 && n["frames"] > 20) }' "$work/oracle"
}
ok "on screen and off, with pointers and video" shown
finish
