#!/bin/sh
# embed.sh NAME FILE... - print C that holds the files, as a table of
# struct schema_embedded (schema/embed.h) named NAME, ended by a NULL name.
set -eu
name=$1
shift
echo '#include "schema/embed.h"'
i=0
for file; do
	[ -s "$file" ] || { echo "$0: no file $file" >&2; exit 1; }
	echo "static const unsigned char data_$i[] = {"
	od -An -v -tx1 "$file" | sed -e 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
	echo '0 };'
	i=$((i + 1))
done
echo "const struct schema_embedded ${name}[] = {"
i=0
for file; do
	echo "{ \"${file##*/}\", data_$i, sizeof(data_$i) - 1 },"
	i=$((i + 1))
done
echo '{ 0, 0, 0 } };'
