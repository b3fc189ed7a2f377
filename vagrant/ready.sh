#!/bin/sh
# Makes the checkout at /vagrant usable: the .venv of this machine, which lies on its own disk, is bound over
# the one of the machine that shares the folder. Safe to repeat; needed once after each mount of /vagrant.
set -eu
own=/var/lib/pyctr_vm/venv
if [ ! -e /vagrant/Makefile ]; then
    echo "[vm] there is no checkout at /vagrant: Vagrant mounts it (vagrant reload)" >&2
    exit 97
fi
if mountpoint -q /vagrant/.venv; then exit 0; fi
mkdir -p "$own" /vagrant/.venv
mount --bind "$own" /vagrant/.venv
