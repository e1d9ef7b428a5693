/**
 * The qcow2 disk image format, versions 2 and 3, as QEMU's {@code docs/interop/qcow2.txt} defines
 * it. Metadata is written back in an order that a power cut can turn into leaked clusters, never
 * into corruption: data and reference counts first, then the mapping, then what became free.
 */
@NullMarked
package io.anillo.storage.qcow2;

import org.jspecify.annotations.NullMarked;
