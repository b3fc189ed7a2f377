#!/bin/sh
# Make the checkout at /vagrant usable: bind-mount the VM's own .venv, which is on the VM's disk, over the laptop's.
# Idempotent; needed once after each mount of /vagrant.
set -eu
own=/var/lib/pyctr_vm/venv
if [ ! -e /vagrant/Makefile ]; then
    echo "[vm] there is no checkout at /vagrant: run vagrant reload, which mounts it" >&2
    exit 97
fi
if mountpoint -q /vagrant/.venv; then exit 0; fi
mkdir -p "$own" /vagrant/.venv
mount --bind "$own" /vagrant/.venv
