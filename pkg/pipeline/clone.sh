# Checks one commit out into the current directory. A constant: everything that differs between runs comes in variables.
# Tracing is off, since variables hold the login.
set +x
set -eu
say() { printf '%s\n' "$*"; }
quit() { say "clone: $*" >&2; exit 1; }

private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT

if [ -n "${CLONE_SSH_KEY:-}" ]; then
  (umask 077; printf '%s\n' "$CLONE_SSH_KEY" >"$private/key"; printf '%s\n' "${CLONE_KNOWN_HOSTS:-}" >"$private/known_hosts")
  unset CLONE_SSH_KEY
  GIT_SSH_COMMAND="ssh -i $private/key -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=yes -o UserKnownHostsFile=$private/known_hosts"
  export GIT_SSH_COMMAND
fi
if [ -n "${CLONE_PASSWORD:-}" ]; then
  # a Secret made with echo ends in a newline, which would end git's answer early
  CLONE_PASSWORD=$(printf '%s' "$CLONE_PASSWORD")
  CLONE_USERNAME=$(printf '%s' "${CLONE_USERNAME:-git}")
  export CLONE_PASSWORD CLONE_USERNAME
fi

say "cloning $CLONE_URL_SHOWN at $CLONE_COMMIT"
git -c init.defaultBranch=main init -q .
git config remote.origin.url "$CLONE_URL"
git config remote.origin.fetch '+refs/heads/*:refs/remotes/origin/*'

depth="--no-tags --depth=$CLONE_DEPTH"
[ "$CLONE_DEPTH" != 0 ] || depth=--tags

have() { git cat-file -e "$CLONE_COMMIT^{commit}" 2>/dev/null; }

# The commit itself first: it is what is built, wherever its branch has moved since.
if ! git fetch -q $depth origin "$CLONE_COMMIT" 2>"$private/error" || ! have; then
  say "the host did not hand out the commit by itself; fetching ${CLONE_REF:-all branches}"
  for wait in ${CLONE_WAITS:-2 5 0}; do
    if [ -n "$CLONE_REF" ]; then
      git fetch -q --tags origin "+$CLONE_REF:refs/kubectl-pipeline/source" && break
    else
      git fetch -q --tags origin && break
    fi
    [ "$wait" != 0 ] || { cat "$private/error" >&2; quit "cannot fetch from $CLONE_URL_SHOWN"; }
    say "trying again in $wait s"
    sleep "$wait"
  done
  # the ref may have been rewritten since; the commit may still be in another branch
  have || git fetch -q --tags origin || true
fi
have || quit "commit $CLONE_COMMIT is not in ${CLONE_REF:-any branch} any more"

GIT_LFS_SKIP_SMUDGE=1 git -c advice.detachedHead=false checkout -q -f --detach "$CLONE_COMMIT"
if [ "$CLONE_LFS" = true ]; then
  git lfs install --local >/dev/null
  git lfs pull origin
fi
if [ "$CLONE_SUBMODULES" = true ]; then
  git submodule update -q --init --recursive
fi
[ "$(git rev-parse HEAD)" = "$CLONE_COMMIT" ] || quit "HEAD is not $CLONE_COMMIT"
git --no-pager log -1 --format='HEAD is now at %h %s'
