package io.anillo.network.dataplane;

import io.anillo.network.flow.Action;
import java.util.List;

/**
 * Where a packet goes on in the pipeline after its headers were parsed anew, and the action set it
 * carries.
 */
record ResumePoint(int table, List<Action> actionSet) {}
