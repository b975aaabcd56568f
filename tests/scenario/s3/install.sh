#!/bin/sh
# install.sh FOLDER - the S3 server of the transfer scenario, in FOLDER, from
# npm; nothing is done when it is there.
set -u
from=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1" || exit 1
cp "$from/server.js" . || exit 1
cmp -s "$from/package-lock.json" installed-lock.json && exit 0
command -v npm >/dev/null || {
	echo "there is no npm here" >&2
	exit 1
}
cp "$from/package.json" "$from/package-lock.json" . &&
	npm ci --omit=dev --no-audit --no-fund --ignore-scripts &&
	cp package-lock.json installed-lock.json
