#!/bin/sh
# Prints where make's words are carried out: "vm" or "here". VM=1 and VM=0 in the environment decide otherwise.
#
# Into the VM goes what needs Linux and root, where Vagrant is installed and either a VM of this checkout exists
# or this is no Linux machine with root.
cd "$(dirname "$0")/.."
for word in "$@"; do
    case $word in
        # About the VM itself, or about this machine's own files.
        help | box | test-vm | uninstall | lint | format) echo here; exit ;;
    esac
done
if [ -e /var/lib/pyctr_vm/is_the_vm ] || [ "${VM:-}" = 0 ]; then echo here; exit; fi
if [ "${VM:-}" = 1 ]; then echo vm; exit; fi
command -v vagrant >/dev/null || { echo here; exit; }
for id in .vagrant/machines/*/*/id; do
    if [ -s "$id" ]; then echo vm; exit; fi
done
if [ "$(uname -s)" = Linux ] && [ "$(id -u)" = 0 ]; then echo here; else echo vm; fi
