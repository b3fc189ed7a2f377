#!/bin/sh
# Run the disk that `make box` built in plain QEMU, without Vagrant: vagrant/qemu.sh [PORT [PUBLISHED]]
#
# The console appears here (log in as vagrant, password vagrant; `poweroff` ends it). The console prints JupyterLab's
# address, on PORT (8888) of this computer. PUBLISHED (8080) leads to the same port in the VM: for `run -p 8080:80`.
# Edits stay in build/box/work.qcow2.
set -eu
cd "$(dirname "$0")/../build/box"
port=${1:-8888}
published=${2:-8080}
[ -e work.qcow2 ] || qemu-img create -q -f qcow2 -F qcow2 -b pyctr_lite.qcow2 work.qcow2
if [ -w /dev/kvm ] && [ "${PYCTR_VM_DRIVER:-kvm}" = kvm ]; then
    processor="-accel kvm -cpu host"
else
    processor="-accel tcg,thread=multi -cpu max"
fi
# The VM recognises by its serial number that there is no Vagrant, and so no folder to wait for.
# shellcheck disable=SC2086
exec qemu-system-x86_64 $processor -machine q35 -m "${PYCTR_VM_MEMORY:-2048}" -smp "${PYCTR_VM_CPUS:-2}" \
    -smbios type=1,serial=pyctr-standalone-$port -nographic -device virtio-rng-pci \
    -drive file=work.qcow2,if=virtio,format=qcow2 \
    -nic "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:$port-:8888,hostfwd=tcp:127.0.0.1:$published-:$published"
