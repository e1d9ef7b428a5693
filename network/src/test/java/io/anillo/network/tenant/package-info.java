/** Tests of tenants' networks on switches of ours and on Open vSwitch. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.tenant;
