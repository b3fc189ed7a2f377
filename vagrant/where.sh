#!/bin/sh
# Print where make runs its targets: "vm" or "here". VM=1 and VM=0 in the environment override the decision.
#
# Targets that need Linux and root run in the VM if Vagrant is installed and either this checkout has a VM or the caller
# is not root on Linux.
cd "$(dirname "$0")/.."
for word in "$@"; do
    case $word in
        # These are about the VM itself or about this computer's own files.
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
