#!/usr/bin/env bash
# Builds a real Kubernetes control plane and kubelet for the tests, when the cache has none.
#
#   scripts/kubernetes/build.sh            # as root, on Debian; 5-8 minutes on two cores, once
#
# No package ships these programs built, but Debian's source package has the whole vendored tree:
# nothing is fetched but by apt. The cache is ${XDG_CACHE_HOME:-~/.cache}/intertie/kubernetes-1.20.2
# or $INTERTIE_KUBERNETES. As any other user, or elsewhere, it says in one line what is missing.
set -euo pipefail

cache=${INTERTIE_KUBERNETES:-${XDG_CACHE_HOME:-$HOME/.cache}/intertie/kubernetes-1.20.2}
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet)

is_built() {
    for program in "${programs[@]}"; do
        [ -x "$cache/$program" ] || return 1
    done
}
is_built && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "system: no Kubernetes in $cache, so its tests are skipped (as root, on Debian: $0)" >&2
    exit 0
fi

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # whoever comes second waits for the first, and finds it built
is_built && exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
log=$cache/build.log
echo "system: building Kubernetes into $cache (once, 5-8 minutes; $log)" >&2

# Source lists are made from the machine's own, so no mirror's name is written anywhere.
source_lists() {
    sed -nE 's/^deb (\[[^]]*\] )?/deb-src \1/p' /etc/apt/sources.list 2>/dev/null || true
    awk 'BEGIN { RS = ""; FS = "\n" }
        /Types: deb/ {
            u = s = c = ""
            for (i = 1; i <= NF; i++) {
                if ($i ~ /^URIs:/) u = substr($i, 7)
                if ($i ~ /^Suites:/) s = substr($i, 9)
                if ($i ~ /^Components:/) c = substr($i, 13)
            }
            n = split(s, suites, " "); m = split(u, uris, " ")
            for (i = 1; i <= n; i++)
                for (j = 1; j <= m; j++) print "deb-src", uris[j], suites[i], c
        }' /etc/apt/sources.list.d/*.sources 2>/dev/null || true
}

fetch() {
    export DEBIAN_FRONTEND=noninteractive
    local wanted=(golang-go golang-github-modern-go-reflect2-dev dpkg-dev make rsync)
    local wait=(-o DPkg::Lock::Timeout=600)
    apt-get "${wait[@]}" install -y -q --no-install-recommends "${wanted[@]}" || {
        apt-get "${wait[@]}" update -q
        apt-get "${wait[@]}" install -y -q --no-install-recommends "${wanted[@]}"
    }
    source_lists >"$work/sources.list"
    mkdir -p "$work/lists/partial"
    local own=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root)
    apt-get "${own[@]}" update -q
    cd "$work"
    apt-get "${own[@]}" source -q kubernetes
    cd "$work"/kubernetes-*/
}

# The vendored reflect2 1.0.1 dies with Go >= 1.18 on the first custom resource.
mend() {
    local vendored=vendor/github.com/modern-go/reflect2
    rm -f "$vendored"/*.go
    cp /usr/share/gocode/src/github.com/modern-go/reflect2/*.go "$vendored"/
    rm -f "$vendored"/*_test.go
}

compile() {
    mkdir -p .go/src/k8s.io "$work/home"
    ln -sfn ../../.. .go/src/k8s.io/kubernetes
    export GOPATH=$PWD/.go PATH=/usr/lib/go/bin:$PATH CGO_ENABLED=0 HOME=$work/home
    export GOFLAGS=-mod=vendor GOPROXY=off
    unset GOROOT
    cd .go/src/k8s.io/kubernetes
    nice -n 19 make WHAT="${programs[*]/#/cmd/}" GOLDFLAGS="-s -w"
    local built
    built=$(dirname "$(find "$PWD/_output/local/bin/" -name kubelet | head -n 1)")
    for program in "${programs[@]}"; do
        cp "$built/$program" "$cache/$program.new"
        mv "$cache/$program.new" "$cache/$program"
    done
}

if ! (fetch && mend && compile) >"$log" 2>&1 9>&-; then
    tail -n 5 "$log" >&2
    exit 1
fi
