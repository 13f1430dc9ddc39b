# The first process of an attempt's container: runs the program once, keeps its end, ends it in time.
# Constant text for any POSIX sh; $1 is the time limit in seconds, $2 the grace, $3 `move` where the
# attempt ends with its agent's session, $4 `gang` where it begins with others, and the rest is the
# program. Only the program writes to its log.
limit=$1 grace=$2 moves=$3 gang=$4
shift 4

# A member of a gang waits until the agent has seen all of them here, or has given this one up.
trap 'exit 75' TERM
while [ "$gang" = gang ] && [ ! -e /intertie/gang/open ]; do
    [ ! -d /intertie/end/begun ] || exit 75
    sleep 1
done
trap - TERM

# A site that starts an attempt again, on another node perhaps, finds that it was begun.
mkdir /intertie/end/begun 2>/dev/null || exit 75
echo "$INTERTIE_POD $INTERTIE_NODE" >/intertie/end/begun/pod

steady() { # hundredths of a second since this machine started
    read -r up rest </proc/uptime
    echo "${up%.*}${up#*.}"
}
past() { # whether the instant in a file has come
    [ -r "$1" ] && read -r at <"$1" && [ "$(date +%s)" -ge "$at" ]
}
say_end() { # the cause, and how long the program may take to stop
    why=$1 kill_at=$(($(steady) + $2 * 100))
    echo "$why" >/intertie/end/cause
    [ "$2" -eq 0 ] || kill -TERM 1
}
look() {
    if [ -r /intertie/orders/stop ] && read -r ordered wait </intertie/orders/stop; then
        say_end "$ordered" "$wait"
    elif [ $(($(steady) - began)) -ge $((limit * 100)) ]; then
        say_end timed_out "$grace"
    elif past /intertie/orders/until; then
        say_end expired "$grace"
    elif [ "$moves" = move ] && past /intertie/session/until; then
        say_end lost "$grace"
    fi
}
watch() {
    trap '' TERM
    while sleep 1; do
        [ -n "$why" ] || look # the first cause stands
        [ -z "$why" ] || [ "$(steady)" -lt "$kill_at" ] || kill -KILL -1
    done
}

why='' began=$(steady)
trap : TERM
look
[ -z "$why" ] || exit 0
trap 'kill -TERM -1' TERM
cd /work || exit 74
(
    trap - TERM
    exec >>/intertie/log 2>&1 </dev/null
    . /intertie/job/launch
    exec "$@"
) &
child=$!
watch &
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do # a signal interrupts waiting
    wait "$child"
    code=$?
done
trap '' TERM
ended=$(steady)
kill -KILL -1

cpu_us=0 peak=0
if [ -r /sys/fs/cgroup/cpu.stat ]; then
    read -r word cpu_us </sys/fs/cgroup/cpu.stat
elif [ -r /sys/fs/cgroup/cpuacct/cpuacct.usage ]; then
    read -r cpu_ns </sys/fs/cgroup/cpuacct/cpuacct.usage
    cpu_us=$((cpu_ns / 1000))
fi
for file in /sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes; do
    [ ! -r "$file" ] || read -r peak <"$file"
done
echo "$code $(((ended - began) * 10)) $((cpu_us / 1000)) $peak" >/intertie/end/exit.new
mv /intertie/end/exit.new /intertie/end/exit
exit "$code"
