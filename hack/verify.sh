#!/usr/bin/env bash
# Checks that what can be derived was derived: generated files, go.mod, formatting.
set -euo pipefail
cd "$(dirname "$0")/.."
fail=0
say() { echo "verify: $*" >&2; fail=1; }

unformatted=$(git ls-files '*.go' | xargs gofmt -l)
[ -z "$unformatted" ] || say "not gofmt-ed (run gofmt -w): $unformatted"

for module in . tools tools/lint tools/krew test/cluster/parts test/registry; do
  (cd "$module" && go mod tidy -diff >/dev/null) || say "$module/go.mod is not tidy (run go mod tidy there)"
done

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --null --files-from=- --create --file=- | tar --extract --file=- --directory="$copy"
hack/generate.sh --root "$copy"
while IFS= read -r -d '' file; do
  cmp -s "$file" "$copy/$file" || say "$file is not up to date (run make generate)"
done < <(git ls-files -z)
new=$(cd "$copy" && find . -type f -newer go.mod ! -path './.git/*' | sed 's#^\./##' | while read -r f; do git -C "$OLDPWD" ls-files --error-unmatch "$f" >/dev/null 2>&1 || echo "$f"; done)
[ -z "$new" ] || say "generated but not committed: $new"

[ $fail -eq 0 ] && echo "verify: everything is up to date"
exit $fail
