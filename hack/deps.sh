#!/usr/bin/env bash
# Installs the Debian packages that the cluster tests use, those that are missing only.
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t want < <(grep -vE '^\s*(#|$)' test/cluster/apt.txt)
command -v npm >/dev/null || want+=(npm) # samples of webhooks come from npm; Node's own package brings it too
missing=()
for package in "${want[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "deps: ${want[*]}: all installed"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "deps: missing: ${missing[*]}; run: sudo apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "deps: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
