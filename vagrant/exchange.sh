#!/bin/sh
# The learner's files, both ways, where the machine has only a copy of the folder: vagrant/exchange.sh SSH-CONFIG
#
# Of two versions the newer one is taken, and the other kept in build/replaced: nothing is ever lost. A file that
# was removed on one side only comes back.
set -eu
config=$1
cd "$(dirname "$0")/.."
kept=build/replaced/$(date +%Y%m%d-%H%M%S)

# exchange FROM TO BACKUPS WHERE: owners stay each side's own (a laptop's user here, root there).
exchange() {
    rsync -rlptu --rsync-path 'sudo rsync' -e "ssh -F '$config'" --exclude __pycache__ --exclude .ipynb_checkpoints \
        --backup --backup-dir "$3" --out-format "$folder/%n" "$1" "$2" >.vagrant/pyctr/exchanged
    sed '/\/$/d' .vagrant/pyctr/exchanged |
        awk -v where="$4" 'NR <= 8 { print "[vm] " where ": " $0 } END { if (NR > 8) print "[vm] … and " NR - 8 " more" }'
    rm -f .vagrant/pyctr/exchanged
}
for folder in labs notebooks; do
    [ ! -d $folder ] || exchange $folder/ "vm:/vagrant/$folder/" "/vagrant/$kept/$folder" "into the machine"
    if ssh -F "$config" vm test -d /vagrant/$folder; then
        mkdir -p $folder
        exchange "vm:/vagrant/$folder/" $folder/ "$PWD/$kept/$folder" "from the machine"
    fi
done
# What `make grade` leaves to read.
rsync -tR --ignore-missing-args --rsync-path 'sudo rsync' -e "ssh -F '$config'" vm:/vagrant/./build/grade.json ./
