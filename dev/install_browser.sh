#!/bin/sh
# Installs Debian's Chromium and the font in which the pictures of the page are made, or says how.
#
# Debian keeps one version of Chromium in each release, the newest with all its security updates, and no older one: it
# is pinned as far as the release of Debian is.
set -eu
# Debian's own tools lie there, whatever the PATH of whoever calls.
PATH="$PATH:/usr/sbin:/usr/bin:/sbin:/bin"
packages="chromium fonts-inter"
missing=""
for package in $packages; do
  dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
  echo "Installing$missing ..."
  apt-get update -qq
  # shellcheck disable=SC2086 -- one word for each package
  DEBIAN_FRONTEND=noninteractive apt-get install --yes -qq --no-install-recommends $missing >/dev/null
else
  echo "The tests of the page need$missing: apt-get install$missing, or name another Chromium in CHROMIUM" >&2
  [ -n "${CHROMIUM:-}" ]
fi
