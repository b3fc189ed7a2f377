#!/bin/bash
# Turn a Debian into the course's VM; the checkout is at /vagrant. `vagrant up` and `vagrant provision` run it, and so
# does `make box`, with the argument "bake", in the chroot in which it builds a disk. Each step acts only on what is
# missing, so a second run changes nothing.
set -eu
bake=${1:-}
vm=/var/lib/pyctr_vm
export DEBIAN_FRONTEND=noninteractive
cd /vagrant

say() { printf '[vm] %s\n' "$*"; }

# install_file MODE SOURCE TARGET: exit status 1 if the target is already the same
install_file() {
    if cmp -s "$2" "$3" && [ "$(stat -c %a "$3")" = "$1" ]; then return 1; fi
    install -D -m "$1" "$2" "$3"
    say "installed $3"
}

# Programs that the rest of this script needs, and that a public box may lack.
missing=
for command in make git rsync curl; do
    command -v $command >/dev/null || missing="$missing $command"
done
if [ -n "$missing" ]; then
    say "installing$missing"
    apt-get update -qq
    # shellcheck disable=SC2086
    apt-get install -y -qq --no-install-recommends $missing bash-completion man-db </dev/null >/dev/null
fi

# /vagrant is the laptop's folder. Its .venv was made for another machine, and the folder may not even support symbolic
# links. So the VM's own .venv is on the VM's disk and is bind-mounted over the laptop's.
mkdir -p $vm
touch $vm/is_the_vm
install_file 755 vagrant/ready.sh /usr/local/sbin/pyctr-vm-ready || true
install_file 755 vagrant/url.sh /usr/local/sbin/pyctr-vm-url || true
/usr/local/sbin/pyctr-vm-ready
make/setup.sh --quiet root packages setup venv extra dev extra course launcher links image

# JupyterLab makes its own token at its first start (make/notebook.py). Remove the file of earlier versions: every user
# could read the token in it.
rm -f $vm/notebook.env
if install_file 644 vagrant/pyctr-notebook.service /etc/systemd/system/pyctr-notebook.service && [ "$bake" != bake ]; then
    systemctl daemon-reload
fi
pyctr_lite completion bash >/run/pyctr_lite.completion
install_file 644 /run/pyctr_lite.completion /etc/bash_completion.d/pyctr_lite || true
rm /run/pyctr_lite.completion
install_file 644 vagrant/login.sh /etc/profile.d/pyctr_vm.sh || true

# Tests only call these programs; their services must not run.
for unit in docker.service docker.socket containerd.service podman.service podman.socket podman-auto-update.timer \
    podman-auto-update.service podman-restart.service podman-clean-transient.service; do
    if [ -e "/lib/systemd/system/$unit" ] && [ "$(systemctl is-enabled $unit 2>/dev/null)" != masked ]; then
        systemctl --quiet mask $unit
        [ "$bake" = bake ] || systemctl --quiet stop $unit
        say "masked $unit"
    fi
done

# On an emulated processor, labs and notebooks wait longer before they report that something hangs.
if [ "$bake" != bake ] && [ "$(systemd-detect-virt)" = qemu ] && ! grep -qs '^PYCTR_SLOW=' /etc/environment; then
    echo PYCTR_SLOW=20 >>/etc/environment
    echo 'Defaults env_keep += "PYCTR_SLOW"' >/etc/sudoers.d/pyctr_vm
    chmod 440 /etc/sudoers.d/pyctr_vm
    say "the processor is emulated: PYCTR_SLOW=20"
fi

if [ "$bake" = bake ]; then
    install_file 644 vagrant/pyctr-standalone.service /etc/systemd/system/pyctr-standalone.service || true
    systemctl --quiet enable pyctr-standalone
    # Build the font cache once, here, because that is slow on an emulated processor.
    /vagrant/.venv/bin/python -c 'import matplotlib.font_manager'
    exit 0
fi
make doctor
