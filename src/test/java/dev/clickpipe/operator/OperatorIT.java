package dev.clickpipe.operator;

import dev.clickpipe.api.Phase;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;

@ExtendWith(Cluster.Extension.class)
class OperatorIT {
    @Test
    void cdc(Cluster cluster) {
        cluster.startOperator();
        cluster.create(Pipes.cdc());
        cluster.awaitPhase("orders", Phase.Running);
        cluster.awaitReady("orders");
    }
}
