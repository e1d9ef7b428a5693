/** Tests of the controller with our switches and with Open vSwitch. */
@org.jspecify.annotations.NullMarked
package io.anillo.network.controller;
