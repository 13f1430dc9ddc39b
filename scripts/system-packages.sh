#!/usr/bin/env bash
# Makes the named Debian packages present: installs them as root, else says in one line what is
# missing and what will do without it. Never fails: each of them is optional.
set -uo pipefail

declare -A command_of=(
    [bubblewrap]=bwrap
    [busybox]=busybox
    [chromium]=chromium
    [containerd]=containerd
    [containernetworking-plugins]=/usr/lib/cni/bridge
    [etcd-server]=etcd
    [memcached]=memcached
    [mariadb-server]=mariadbd
    [munge]=munged
    [podman]=podman
    [postgresql]=initdb
    [runc]=runc
    [slurm-client]=sbatch
    [slurmctld]=slurmctld
    [slurmd]=slurmd
    [slurmdbd]=slurmdbd
    [slurmrestd]=slurmrestd
    [slurm-wlm-jwt-plugin]='/usr/lib/*/slurm-wlm/auth_jwt.so'
)
declare -A without=(
    [busybox]="the Kubernetes and container tests are skipped"
    [containerd]="the Kubernetes tests are skipped"
    [containernetworking-plugins]="the Kubernetes tests are skipped"
    [etcd-server]="the Kubernetes tests are skipped"
    [runc]="the Kubernetes tests are skipped"
    [bubblewrap]="tasks run without a sandbox"
    [chromium]="the console's browser test is skipped"
    [memcached]="the tests on S3 are skipped"
    [podman]="the container tests are skipped"
    [postgresql]="the tests on PostgreSQL are skipped"
    [munge]="the tests on Slurm are skipped"
    [slurmctld]="the tests on Slurm are skipped"
    [slurmd]="the tests on Slurm are skipped"
    [slurm-client]="the tests on Slurm are skipped"
    [slurmdbd]="the tests of Slurm's accounting are skipped"
    [slurmrestd]="the tests of Slurm over REST are skipped"
    [slurm-wlm-jwt-plugin]="the tests of Slurm over REST are skipped"
    [mariadb-server]="the tests of Slurm's accounting are skipped"
)

# A plug-in is a file, found by its pattern. Debian keeps PostgreSQL's own programs out of PATH,
# one folder for each version.
is_here() {
    command -v "${command_of[$1]}" >/dev/null || compgen -G "${command_of[$1]}" >/dev/null ||
        compgen -G "/usr/lib/postgresql/*/bin/${command_of[$1]}" >/dev/null
}

missing=()
for package in "$@"; do
    is_here "$package" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" \
        >"$log" 2>&1
}

# The tests start a server of their own: installing one must not start another beside it.
keep_clusters_away() {
    [ -e /etc/postgresql-common/createcluster.conf ] && return
    mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
}

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    echo "system: installing ${missing[*]} (once)" >&2
    [[ " ${missing[*]} " == *" postgresql "* ]] && keep_clusters_away
    # A fresh machine has no package lists, an old one stale ones: update only when needed.
    install || { apt-get update -qq >"$log" 2>&1 && install; } || tail -n 3 "$log" >&2
fi

for package in "${missing[@]}"; do
    is_here "$package" ||
        echo "system: no $package here, so ${without[$package]} (Debian: apt-get install $package)" >&2
done
exit 0
