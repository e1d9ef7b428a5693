# After all packages are installed: names, the disk, the password.
echo anillo >"$1/etc/hostname"
printf '127.0.0.1 localhost anillo\n' >"$1/etc/hosts"
printf '/dev/vda / ext4 errors=remount-ro 0 1\n' >"$1/etc/fstab"
printf 'virtio_net\nvirtio_balloon\nvirtio_console\n' >"$1/etc/modules-load.d/anillo.conf"
echo root:anillo | chroot "$1" chpasswd
# A processor in software on a busy host may need longer than the 90 s that systemd gives a device or a service.
mkdir -p "$1/etc/systemd/system.conf.d"
printf '[Manager]\nDefaultDeviceTimeoutSec=15min\nDefaultTimeoutStartSec=15min\n' >"$1/etc/systemd/system.conf.d/anillo.conf"
# Looks for snapshots of logical volumes, of which this disk has none, and takes long to find that out.
ln -sf /dev/null "$1/etc/systemd/system/e2scrub_reap.service"
