/** Tests of the commands for disks and pools. */
@org.jspecify.annotations.NullMarked
package io.anillo.cli.storage;
