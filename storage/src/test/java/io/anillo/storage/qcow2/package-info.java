@NullMarked
package io.anillo.storage.qcow2;

import org.jspecify.annotations.NullMarked;
