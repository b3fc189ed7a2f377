#!/bin/sh
# Wait until JupyterLab answers, then print its address for the laptop's browser: pyctr-vm-url [NOTEBOOK'S NUMBER]
set -eu
port=$(cat /var/lib/pyctr_vm/port 2>/dev/null || echo 8888)
page=lab
if [ -n "${1:-}" ] && [ -z "$(find /vagrant/notebooks -name "$1*.ipynb" -print -quit)" ]; then
    echo "there is no notebook $1: NB is the beginning of a name in notebooks/, such as 03" >&2
    exit 2
fi
for notebook in /vagrant/notebooks/"${1:-none}"*.ipynb; do
    if [ -e "$notebook" ]; then page=lab/tree/notebooks/${notebook##*/}; fi
done
systemctl is-active --quiet pyctr-notebook || systemctl start pyctr-notebook
tries=0
until curl -fs -o /dev/null "http://127.0.0.1:8888/api"; do
    tries=$((tries + 1))
    if [ $tries -gt 180 ] || ! systemctl is-active --quiet pyctr-notebook; then
        echo "JupyterLab does not answer: see journalctl -u pyctr-notebook" >&2
        exit 1
    fi
    sleep 1
done
echo "JupyterLab: http://127.0.0.1:$port/$page?token=$(cat /var/lib/pyctr_vm/jupyter/token)"
