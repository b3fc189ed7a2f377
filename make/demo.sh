#!/bin/sh
# A short tour of the engine with the busybox image. It removes everything that it makes, and needs no terminal.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/.venv/bin:$PATH
name=demo-$$
bold= plain=
if [ -t 1 ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
fi

say() { printf '\n%s\n' "$*"; }
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

say "1. namespaces: a process with its own process table, host name, mounts and network."
# shellcheck disable=SC2016
show pyctr_lite run --rm -h lab busybox sh -c 'echo "process $$ on $(hostname)"; ps; ip -o addr'

say "2. cgroups: a process that may use 32 MiB asks for more. The kernel kills it (128 + signal 9 = 137), and nothing else."
status=0
show pyctr_lite run --rm -m 32m --memory-swap 32m busybox tail /dev/zero || status=$?
echo "exit status $status"
[ $status = 137 ] || exit 1

say "3. rootfs: the image's layers below, the container's own directory above. What has the container changed?"
show pyctr_lite run --name "$name" busybox sh -c 'echo hello >/greeting; rm /bin/vi'
show pyctr_lite diff "$name"

say "4. volumes: data that outlives containers. The second container may only read it."
show pyctr_lite run --rm -v "$name:/data" busybox sh -c 'echo kept >/data/note'
show pyctr_lite run --rm -v "$name:/data:ro" busybox cat /data/note

say "5. commit: the container's changes become a layer, and the layer a new image."
show pyctr_lite commit -m "a greeting" "$name" "$name:1"
show pyctr_lite run --rm "$name:1" cat /greeting
show pyctr_lite history "$name:1"

say "How does it work? --explain prints each kernel step. Some of them:"
set -- pyctr_lite run --rm --explain -m 64m -v "$name:/data" busybox true
printf '%s$ %s%s\n' "$bold" "$*" "$plain"
"$@" 2>&1 >/dev/null |
    grep -E 'clone3|memory\.(max|limit_in_bytes)"|sethostname|"overlay"|"/proc", "proc"|_data|pivot_root|capset|execve' |
    LC_ALL=C.UTF-8 sed -E 's/^(.{140}).+/\1…/'

say "All of that was real, and all of it is removed again. Next: pyctr_lite run -it --rm busybox"
