#!/bin/sh
# A short tour of one engine on the busybox image; it takes away what it makes. Needs no terminal.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
name=demo-$$
bold= plain=
if [ -t 1 ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

tell() { printf '\n%s\n' "$*"; }
show() {
    printf '%s$' "$bold"
    for word in "$@"; do
        case $word in
            *[!A-Za-z0-9_./:=@%+-]* | "") printf " '%s'" "$word" ;;
            *) printf ' %s' "$word" ;;
        esac
    done
    printf '%s\n' "$plain"
    "$@"
}
clean_up() {
    pyctr_lite rm -f "$name" >/dev/null 2>&1 || true
    pyctr_lite volume rm -f "$name" >/dev/null 2>&1 || true
    pyctr_lite rmi "$name:1" >/dev/null 2>&1 || true
}
trap clean_up EXIT
trap 'exit 130' INT TERM

tell "1. namespaces: a process that has its own process table, host name, mounts and network."
# shellcheck disable=SC2016
show pyctr_lite run --rm -h lab busybox sh -c 'echo "process $$ on $(hostname)"; ps; ip -o addr'

tell "2. cgroups: 32 MiB are all it gets. The kernel ends it (128 + signal 9 = 137); the machine does not notice."
status=0
show pyctr_lite run --rm -m 32m --memory-swap 32m busybox tail /dev/zero || status=$?
echo "exit status $status"
[ $status = 137 ] || exit 1

tell "3. rootfs: an image's layers below, a directory of the container's own above. What has it changed?"
show pyctr_lite run --name "$name" busybox sh -c 'echo hello >/greeting; rm /bin/vi'
show pyctr_lite diff "$name"

tell "4. volumes: what outlives the containers. The second one may only read."
show pyctr_lite run --rm -v "$name:/data" busybox sh -c 'echo kept >/data/note'
show pyctr_lite run --rm -v "$name:/data:ro" busybox cat /data/note

tell "5. commit: the changes become a layer, the container an image."
show pyctr_lite commit -m "a greeting" "$name" "$name:1"
show pyctr_lite run --rm "$name:1" cat /greeting
show pyctr_lite history "$name:1"

tell "How? --explain tells each kernel step. Some of them:"
set -- pyctr_lite run --rm --explain -m 64m -v "$name:/data" busybox true
printf '%s$ %s%s\n' "$bold" "$*" "$plain"
"$@" 2>&1 >/dev/null |
    grep -E 'clone3|memory\.(max|limit_in_bytes)"|sethostname|"overlay"|"/proc", "proc"|_data|pivot_root|capset|execve' |
    LC_ALL=C.UTF-8 sed -E 's/^(.{140}).+/\1…/'

tell "All of that was real, and is gone again. Next: pyctr_lite run -it --rm busybox"
