/**
 * The control plane: runs switches over OpenFlow 1.3, ours and others. Applications see switches,
 * events and flows; {@link io.anillo.network.controller.LearningSwitch} is the smallest one.
 */
@org.jspecify.annotations.NullMarked
package io.anillo.network.controller;
