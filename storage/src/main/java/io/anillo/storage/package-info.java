/** Storage virtualization: disk images, pools of disks and network block devices. */
@NullMarked
package io.anillo.storage;

import org.jspecify.annotations.NullMarked;
