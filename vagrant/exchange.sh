#!/bin/sh
# Synchronise the learner's files in both directions, if the VM has only a copy of the folder:
# vagrant/exchange.sh SSH-CONFIG
#
# The newer version of a file wins, and the other one is kept in build/replaced, so nothing is ever lost. A file that
# was removed on only one side comes back.
set -eu
config=$1
cd "$(dirname "$0")/.."
kept=build/replaced/$(date +%Y%m%d-%H%M%S)

# exchange FROM TO BACKUPS WHERE: each side keeps its own owners (the laptop's user here, root in the VM).
exchange() {
    rsync -rlptu --rsync-path 'sudo rsync' -e "ssh -F '$config'" --exclude __pycache__ --exclude .ipynb_checkpoints \
        --backup --backup-dir "$3" --out-format "$folder/%n" "$1" "$2" >.vagrant/pyctr/exchanged
    sed '/\/$/d' .vagrant/pyctr/exchanged |
        awk -v where="$4" 'NR <= 8 { print "[vm] " where ": " $0 } END { if (NR > 8) print "[vm] … and " NR - 8 " more" }'
    rm -f .vagrant/pyctr/exchanged
}
for folder in labs notebooks; do
    [ ! -d $folder ] || exchange $folder/ "vm:/vagrant/$folder/" "/vagrant/$kept/$folder" "to the VM"
    if ssh -F "$config" vm test -d /vagrant/$folder; then
        mkdir -p $folder
        exchange "vm:/vagrant/$folder/" $folder/ "$PWD/$kept/$folder" "from the VM"
    fi
done
# The result of `make grade`.
rsync -tR --ignore-missing-args --rsync-path 'sudo rsync' -e "ssh -F '$config'" vm:/vagrant/./build/grade.json ./
