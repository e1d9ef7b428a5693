/** HotSpot's interface to its own compilers, under the name that HotSpot wants. */
package jdk.test.whitebox;
