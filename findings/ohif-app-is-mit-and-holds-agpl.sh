#!/usr/bin/env bash
# One would guess: the prebuilt application in npm's @ohif/app is under the licence that the package names, MIT, and under permissive ones of what it bundles.
# What happens: its main script holds shepherd.js 15 (the tour that is shown at the first start), which has been under AGPL-3.0 or a commercial licence since
#   version 14. The package's license is MIT, its LICENSE is that of OHIF, and no file in it names the AGPL or the licences of what it bundles; only its
#   package.json lists shepherd.js among some forty dependencies, whose licences one has to look up.
# Why it matters: who serves or ships the prebuilt application passes on AGPL code. A scan of what is served or shipped finds MIT.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm pack --silent @ohif/app@3.13.2 >/dev/null
tar -xzf ohif-app-3.13.2.tgz
licence=$(node -p 'require("./package/package.json").license')
needs=$(node -p 'require("./package/package.json").dependencies["shepherd.js"] ?? "nothing"')
bundle=$(echo package/dist/app.bundle.*.js)
held=$(grep -o 'class shepherd_[a-z]*' "$bundle" | sort -u | wc -l)
of_shepherd=$(npm view "shepherd.js@$needs" license)
notices=$({ grep -rilE 'agpl|affero' package --include='*LICENSE*' --include='*.txt' --include='package.json' || true; } | wc -l)
echo "@ohif/app 3.13.2: license $licence; depends on shepherd.js $needs; files that name the AGPL: $notices"
echo "$(basename "$bundle"): $held classes of shepherd.js"
echo "shepherd.js $needs: license $of_shepherd"
[ "$licence" = MIT ] && [ "$notices" = 0 ] && [ "$held" -gt 0 ] && [[ "$of_shepherd" == *AGPL* ]]
echo "as described"
