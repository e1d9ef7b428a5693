/** Whole guests as benchmarks: workloads, the machines they run on, and what came out. */
@org.jspecify.annotations.NullMarked
package io.anillo.bench.guest;
