#!/bin/sh
# Makes an ext4 disk, its kernel and its initial RAM disk from a root file system's archive, as root or as root of a
# user namespace. Arguments: the archive, the directory for the results, the disk's size as mke2fs takes it.
set -eu
archive=$1 results=$2 size=$3
root=$results/root
mkdir "$root"
trap 'rm -rf "$root"' EXIT
tar -C "$root" --numeric-owner -xpf "$archive"
cp "$root"/boot/vmlinuz-* "$results/kernel"
cp "$root"/boot/initrd.img-* "$results/initrd"
mke2fs -q -F -t ext4 -L anillo-debian -E lazy_itable_init=1,lazy_journal_init=1 -d "$root" "$results/disk.img" "$size"
