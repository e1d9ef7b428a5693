/** Writing and reading machine state: versioned records that outlive a process. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.state;
