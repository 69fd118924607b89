#!/usr/bin/env bash
# Install or upgrade echo-scp as a service. Idempotent: run it again after every update of the sources.
#
#   scripts/install.sh [--prefix DIR] [--root DIR] [--no-start] [--large | --small] [PACKAGE]
#
# PACKAGE is what pip installs: a wheel or a source folder; by default the folder of this script's checkout.
#   --prefix DIR  where the virtual environment lives (default /opt/echo-scp)
#   --root DIR    write the system's files below DIR and touch neither users nor services (to build a package, to test)
#   --large       one service per role, under echo-scp.target; needs database.url
#   --small       one service for all; without either it stays as it is (at first: --small)
#   --no-start    install, do not start
#
# Kept as they are: /etc/echo-scp/echo-scp.toml and /var/lib/echo-scp. The database is migrated by the next start;
# the version before it is in PREFIX/venv.old, and a copy of the data as before can be made with scripts/backup.sh.
# A version that cannot be installed, or does not accept the configuration, leaves the one before in its place.
set -euo pipefail
umask 022 # the service's user reads what root installs

here="$(cd "$(dirname "$0")/.." && pwd)"
prefix=/opt/echo-scp root="" start=yes unit="" package="$here"
while [ $# -gt 0 ]; do
    case "$1" in
        --prefix) prefix="$2"; shift 2 ;;
        --root) root="$2"; shift 2 ;;
        --large) unit=echo-scp.target; shift ;;
        --small) unit=echo-scp.service; shift ;;
        --no-start) start=no; shift ;;
        -h | --help) sed -n '2,16s/^# \{0,1\}//p' "$0"; exit 0 ;;
        -*) echo "unknown option $1; see --help" >&2; exit 2 ;;
        *) package="$1"; shift ;;
    esac
done
if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then
    echo "run as root, or with --root DIR" >&2
    exit 1
fi

say() { echo "install: $*"; }

version_of() { "$1/bin/echo-scp" --version 2>/dev/null || true; }

# A virtual environment names its own path, so the new one is built in place of the old, which is put aside first.
install_package() {
    local venv="$root$prefix/venv" python="${PYTHON:-python3}" before=""
    mkdir -p "$root$prefix"
    if [ -d "$venv.aside" ]; then # an earlier run was broken off
        rm -rf "$venv"
        mv "$venv.aside" "$venv"
    fi
    if [ -d "$venv" ]; then
        before="$(version_of "$venv")"
        mv "$venv" "$venv.aside"
    fi
    if "$python" -m venv "$venv" &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check ${PIP_OPTIONS:-} "$package" &&
        check_configuration "$venv"; then
        say "$(version_of "$venv") in $venv"
        keep_version_before "$venv" "$before"
    else
        say "could not install $package; the version before it is put back" >&2
        rm -rf "$venv"
        [ ! -d "$venv.aside" ] || mv "$venv.aside" "$venv"
        return 1
    fi
}

# The same version again is not the one to go back to.
keep_version_before() {
    local venv="$1" before="$2"
    if [ -d "$venv.old" ] && [ "$before" = "$(version_of "$venv")" ]; then
        rm -rf "$venv.aside"
    elif [ -d "$venv.aside" ]; then
        rm -rf "$venv.old"
        mv "$venv.aside" "$venv.old"
    fi
}

check_configuration() {
    local file="$root/etc/echo-scp/echo-scp.toml" as_service="runuser -u echo-scp --"
    [ "$start" = yes ] && [ -e "$file" ] || return 0
    [ -z "$root" ] || as_service=""
    $as_service "$1/bin/echo-scp" config check --config "$file"
}

install_user() {
    install -D -m 0644 "$here/systemd/echo-scp.sysusers" "$root/usr/lib/sysusers.d/echo-scp.conf"
    install -D -m 0644 "$here/systemd/echo-scp.tmpfiles" "$root/usr/lib/tmpfiles.d/echo-scp.conf"
    [ -n "$root" ] || { systemd-sysusers echo-scp.conf && systemd-tmpfiles --create echo-scp.conf; }
}

install_units() {
    local units="$root/etc/systemd/system" file
    install -d "$units"
    for file in "$here"/systemd/echo-scp*.service "$here"/systemd/echo-scp.target; do
        sed "s|/opt/echo-scp|$prefix|g" "$file" >"$units/$(basename "$file")"
        case "$file" in
            *.service) install -D -m 0644 "$here/systemd/hardening.conf" "$units/$(basename "$file").d/hardening.conf" ;;
        esac
    done
    install -D -m 0644 "$here/docs/administrator.md" "$root/usr/share/doc/echo-scp/administrator.md"
}

install_configuration() {
    local file="$root/etc/echo-scp/echo-scp.toml"
    if [ -e "$file" ]; then
        say "$file is kept"
        return
    fi
    install -d -m 0750 "$root/etc/echo-scp"
    "$root$prefix/venv/bin/echo-scp" config example |
        sed 's|^data_folder = .*|data_folder = "/var/lib/echo-scp"|' >"$file"
    chmod 0640 "$file"
    [ -n "$root" ] || chgrp echo-scp "$file"
    say "$file is new: enter the destinations"
}

start_node() {
    local other=echo-scp.target
    if [ -z "$unit" ]; then
        unit=echo-scp.service
        ! systemctl is-enabled --quiet echo-scp.target 2>/dev/null || unit=echo-scp.target
    fi
    [ "$unit" = echo-scp.service ] || other=echo-scp.service
    systemctl daemon-reload
    systemctl disable --quiet "$other"
    systemctl enable --quiet "$unit"
    systemctl restart "$unit"
    say "$unit runs; look at it with: echo-scp doctor --config /etc/echo-scp/echo-scp.toml"
}

install_user
install_package
install_units
install_configuration
if [ -z "$root" ]; then
    ln -sf "$prefix/venv/bin/echo-scp" /usr/local/bin/echo-scp
    [ "$start" = no ] || start_node
fi
