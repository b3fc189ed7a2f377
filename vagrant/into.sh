#!/bin/sh
# Run make in the VM: vagrant/into.sh TARGET… [NAME=VALUE…]. The exit status is that of make in the VM; on a terminal,
# colours and Ctrl-C work. Starts the VM if it is down.
set -eu
cd "$(dirname "$0")/.."
config=.vagrant/pyctr/ssh-config

say() { printf '[vm] %s\n' "$*" >&2; }
there() { ssh -F $config "$@"; }
is_up() { [ -s $config ] && there -o ConnectTimeout=5 vm sudo pyctr-vm-ready </dev/null 2>/dev/null; }
# If the folder is copied, not shared, synchronise before and after each command.
exchange() { [ ! -e .vagrant/pyctr/holds-work ] || sh vagrant/exchange.sh $config; }
# Synchronise as long as `make watch` runs, because it waits for saves. SIGTERM ends it between two exchanges.
go_on_exchanging() {
    trap exit TERM
    while kill -0 $$ 2>/dev/null; do
        exchange >/dev/null || true
        sleep 2
    done
}

command -v vagrant >/dev/null || {
    say "error: Vagrant is not installed: see vagrant/README.md; on Linux, sudo make $* works without it"
    exit 1
}
is_up || {
    say "the VM is not up: vagrant up (about a minute; the first time it also downloads the box)"
    vagrant up </dev/null >&2 || { say "error: vagrant up failed: see vagrant/README.md"; exit 1; }
    is_up || {
        say "the VM runs, but without this folder: vagrant reload"
        vagrant reload </dev/null >&2
    }
}
exchange

quoted=
for word in "$@"; do
    quoted="$quoted '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"
done
watching=
case " $* " in *" watch "*) [ ! -e .vagrant/pyctr/holds-work ] || { go_on_exchanging & watching=$!; } ;; esac
terminal=-T
if [ -t 0 ] && [ -t 1 ]; then terminal=-t; fi
status=0
there $terminal vm "cd /vagrant && exec sudo ${NO_COLOR:+NO_COLOR=1} make --no-print-directory$quoted" || status=$?
[ -z "$watching" ] || { kill $watching && wait $watching || true; }
exchange
# Files that root created in the folder get the folder's owner.
there vm "sudo sh -c 'owner=\$(stat -c %u:%g /vagrant); [ \$owner = 0:0 ] || find /vagrant -xdev -user root -exec chown -h \$owner {} +'" </dev/null
exit $status
