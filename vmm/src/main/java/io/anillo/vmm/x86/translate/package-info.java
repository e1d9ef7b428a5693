/** The translator: hot guest code to JVM bytecode, a region at a time, on threads of its own. */
@org.jspecify.annotations.NullMarked
package io.anillo.vmm.x86.translate;
