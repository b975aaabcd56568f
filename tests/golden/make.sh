#!/bin/sh
# Records the golden captures anew, all or those named, each by its recipe in
# recipes.c. Times and ids are others each time, so what is expected of them
# must be written anew as well (make golden) and looked through.
: "${SRCDIR:?run it through make golden-captures}" "${BUILDDIR:?}"
cd "$BUILDDIR" || exit 1
record=tests/golden/record
status=0
for name in ${*:-$($record)}; do
	echo "  RECORD $name"
	timeout 60 $record "$name" "$SRCDIR/tests/golden/$name.pcapng.zst" \
		tests/scenario >tests/golden/record.log 2>&1 || {
		cat tests/golden/record.log
		status=1
	}
done
exit $status
