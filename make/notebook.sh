#!/bin/sh
# JupyterLab with the notebooks, in the foreground: make/notebook.sh PORT [NB [JUPYTER'S OPTIONS…]]
#
# It listens on 127.0.0.1 (PYCTR_NOTEBOOK_IP for another address: in the VM, whose port only its host forwards).
set -eu
cd "$(dirname "$0")/.."
port=$1
notebook=
if [ -n "${2:-}" ]; then
    notebook=$(cd notebooks && ls -- "$2"*.ipynb | head -n 1)
fi
shift $(($# < 2 ? $# : 2))
token=${PYCTR_NOTEBOOK_TOKEN:-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')}
mkdir -p .venv/etc/jupyter/labconfig
echo '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}' >.venv/etc/jupyter/labconfig/page_config.json
export PYDEVD_DISABLE_FILE_VALIDATION=1
exec .venv/bin/jupyter lab --allow-root --no-browser --ip="${PYCTR_NOTEBOOK_IP:-127.0.0.1}" --port="$port" \
    --IdentityProvider.token="$token" --ServerApp.root_dir="$PWD" \
    --LabApp.default_url="/lab/tree/notebooks/$notebook" \
    --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate "$@"
