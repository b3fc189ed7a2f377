#!/bin/sh
# Turn an unpacked Debian into the course's VM, before its first boot: vagrant/bake.sh ROOT WHEELS
# vagrant/box.py calls it in a new mount namespace; the mounts made here disappear with that namespace.
set -eu
root=$1
wheels=$2

# Vagrant expects a user with a well-known key, which `vagrant up` replaces, and with sudo that asks no password.
chroot "$root" id vagrant >/dev/null 2>&1 || chroot "$root" useradd --create-home --shell /bin/bash vagrant
echo vagrant:vagrant | chroot "$root" chpasswd # for the console only: ssh accepts only keys, see below
mkdir -p "$root/home/vagrant/.ssh"
cat >"$root/home/vagrant/.ssh/authorized_keys" <<'KEY'
ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key
KEY
chmod 700 "$root/home/vagrant/.ssh"
chmod 600 "$root/home/vagrant/.ssh/authorized_keys"
chroot "$root" chown -R vagrant:vagrant /home/vagrant/.ssh
echo 'vagrant ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/vagrant"
chmod 440 "$root/etc/sudoers.d/vagrant"

echo pyctr >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 pyctr\n::1 localhost\n' >"$root/etc/hosts"
echo '/dev/vda1 / ext4 errors=remount-ro 0 1' >"$root/etc/fstab"
: >"$root/etc/machine-id" # each VM creates its own at the first boot
cat >"$root/etc/systemd/network/80-dhcp.network" <<'NETWORK'
[Match]
Name=en* eth*
[Network]
DHCP=yes
[DHCPv4]
ClientIdentifier=mac
NETWORK
printf 'UseDNS no\nGSSAPIAuthentication no\nPasswordAuthentication no\n' >"$root/etc/ssh/sshd_config.d/vagrant.conf"
chroot "$root" systemctl --quiet enable systemd-networkd systemd-resolved ssh
# No downloads and no rebuilds in the background during a lesson.
chroot "$root" systemctl --quiet mask apt-daily.timer apt-daily-upgrade.timer man-db.timer e2scrub_all.timer

# Host keys in the box would be the same in every VM made from it, so each VM makes its own at the first boot.
rm -f "$root"/etc/ssh/ssh_host_*
cat >"$root/etc/systemd/system/ssh-host-keys.service" <<'UNIT'
[Unit]
Description=ssh host keys of this machine
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -q -N "" -t ed25519 -f /etc/ssh/ssh_host_ed25519_key
[Install]
WantedBy=multi-user.target
UNIT
chroot "$root" systemctl --quiet enable ssh-host-keys

mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/vagrant" "$root/tmp/wheels"
mount --bind "$root/opt/pyctr_lite" "$root/vagrant"
mount --bind "$wheels" "$root/tmp/wheels"
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root \
    PIP_NO_INDEX=1 PIP_FIND_LINKS=/tmp/wheels PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore \
    chroot "$root" /bin/sh /vagrant/vagrant/provision.sh bake
