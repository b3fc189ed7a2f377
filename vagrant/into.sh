#!/bin/sh
# Carries make's words into the VM: vagrant/into.sh WORD… [NAME=VALUE…]. The exit status is make's there; colours
# and Ctrl-C come through where this is a terminal. Brings the VM up where it is not.
set -eu
cd "$(dirname "$0")/.."
config=.vagrant/pyctr/ssh-config

say() { printf '[vm] %s\n' "$*" >&2; }
there() { ssh -F $config "$@"; }
is_up() { [ -s $config ] && there -o ConnectTimeout=5 vm sudo pyctr-vm-ready </dev/null 2>/dev/null; }
# A copied folder (no two-way one): each word sees the files as they are, and leaves them so.
exchange() { [ ! -e .vagrant/pyctr/holds-work ] || sh vagrant/exchange.sh $config; }
# For `make watch`, which waits for saves: as long as it runs. A TERM is heard between two exchanges.
go_on_exchanging() {
    trap exit TERM
    while kill -0 $$ 2>/dev/null; do
        exchange >/dev/null || true
        sleep 2
    done
}

command -v vagrant >/dev/null || {
    say "error: Vagrant is not installed: see vagrant/README.md; on Linux, sudo make $* needs none"
    exit 1
}
is_up || {
    say "the VM is not up: vagrant up (a minute or so; the first time it also fetches the box)"
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
# What root made in the folder belongs to whom the folder belongs to.
there vm "sudo sh -c 'owner=\$(stat -c %u:%g /vagrant); [ \$owner = 0:0 ] || find /vagrant -xdev -user root -exec chown -h \$owner {} +'" </dev/null
exit $status
