#!/bin/sh
# Debian packages that the tests need, each known by a command or a library that it brings. As root they are
# installed; else what is missing is named, and the tests do not begin.
set -eu
missing=""
need() { # command, package
    command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || missing="$missing $2"
}
need_library() { # library, package
    ldconfig -p | grep -q "$1" || missing="$missing $2"
}
need chromium chromium
need mariadbd mariadb-server
need systemd-analyze systemd
need pgbouncer pgbouncer
need jq jq # of commands in the documents
need ip iproute2 # of the cluster's hosts
need_library libltdl.so.7 libltdl7 # of Microsoft's driver for SQL Server
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "The tests need these Debian packages; install them first:$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # one word a package
apt-get install -y -qq --no-install-recommends $missing >/dev/null
