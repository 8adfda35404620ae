#!/usr/bin/env bash
# A fresh opencryptoki token in namespaces of its own, then the program given. All of it ends with that program.
# opencryptoki keeps state in fixed places and a daemon for the whole system: here it sees copies.
# usage: opencryptoki.sh <folder> <label> <SO PIN> <PIN> <program> [arguments]
set -euo pipefail
folder="$1" label="$2" so_pin="$3" pin="$4"
shift 4

if [[ -z "${IN_NAMESPACES:-}" ]]; then
  IN_NAMESPACES=1 exec unshare --mount --ipc --pid --fork --kill-child --mount-proc \
    "$0" "$folder" "$label" "$so_pin" "$pin" "$@"
fi

readonly SLOT=3
mkdir -p "$folder/state/swtok/TOK_OBJ" "$folder/lock/opencryptoki/swtok"
chgrp -R pkcs11 "$folder/state" "$folder/lock"
mount --bind "$folder/state" /var/lib/opencryptoki
mount --bind "$folder/lock" /run/lock

pkcsslotd
until pkcsconf -s >/dev/null 2>&1; do sleep 0.02; done
{
  printf '87654321\n%s\n' "$label" | pkcsconf -I -c "$SLOT"
  printf '87654321\n%s\n%s\n' "$so_pin" "$so_pin" | pkcsconf -P -c "$SLOT"
  printf '%s\n12345678\n12345678\n' "$so_pin" | pkcsconf -u -c "$SLOT"
  printf '12345678\n%s\n%s\n' "$pin" "$pin" | pkcsconf -p -c "$SLOT"
} >/dev/null
"$@"
