/** Instructions compared with a real processor: recorded cases, and cases made on the spot. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.vector;
