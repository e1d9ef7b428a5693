# After all packages are installed: names, the disk, the password.
echo anillo >"$1/etc/hostname"
printf '127.0.0.1 localhost anillo\n' >"$1/etc/hosts"
printf '/dev/vda / ext4 errors=remount-ro 0 1\n' >"$1/etc/fstab"
printf 'virtio_net\nvirtio_balloon\nvirtio_console\n' >"$1/etc/modules-load.d/anillo.conf"
echo root:anillo | chroot "$1" chpasswd
