#!/usr/bin/env bash
# Save what a node knows and has: the data folder and its database, as of one moment.
#
#   scripts/backup.sh DATA_FOLDER ARCHIVE.tar.gz            stop the node first (systemctl stop echo-scp)
#   scripts/backup.sh --restore ARCHIVE.tar.gz DATA_FOLDER  into a folder that is not there or empty; then start the node
#
# With the embedded database the folder holds all. With a server of your own (database.url) save that too, by pg_dump, and
# shared_folder if there is one, all BEFORE any node starts again: an instance without its row is never analysed, a row
# without its file neither.
# Left out: what is made again (metrics, kept, plans) and locks.
set -euo pipefail

if [ "${1:-}" = --restore ]; then
    archive="$2" folder="$3"
    if [ -d "$folder" ] && [ -n "$(ls -A --ignore=lost+found "$folder")" ]; then
        echo "$folder is not empty; move it away first" >&2
        exit 1
    fi
    mkdir -p "$folder"
    tar --extract --gzip --same-permissions --file "$archive" --directory "$folder"
    echo "restored $folder"
    exit 0
fi

if [ $# != 2 ]; then
    sed -n '4,5s/^# *//p' "$0" >&2
    exit 2
fi
folder="$1" archive="$2"
exec 9>>"$folder/node.lock"
if ! flock --exclusive --nonblock 9; then
    echo "a node runs on $folder; stop it first: systemctl stop echo-scp" >&2
    exit 1
fi
pid="$(head -n 1 "$folder/postgresql/postmaster.pid" 2>/dev/null || true)"
if [ -n "$pid" ] && grep -qaF "$(realpath "$folder")" "/proc/$pid/cmdline" 2>/dev/null; then
    echo "PostgreSQL still runs on $folder, its node was killed; start the node and stop it in order" >&2
    exit 1
fi
umask 0077 # patients' images
tar --create --gzip --file "$archive.part" --directory "$folder" \
    --exclude=./postgresql/postmaster.pid --exclude=./metrics --exclude=./kept --exclude=./plans --exclude=./node.lock --exclude=./lost+found --exclude='.s.PGSQL.*' .
sync "$archive.part"
mv "$archive.part" "$archive"
echo "saved $archive"
