/** Tests of the guest benchmarks. */
package io.anillo.bench.guest;
