/**
 * The controller: the only package that sees Kubernetes, java-operator-sdk and Quarkus.
 *
 * <p>One round of a pipe is {@link dev.clickpipe.operator.ClickPipeReconciler}: {@link dev.clickpipe.operator.Observed}
 * says what the caches know, {@link dev.clickpipe.operator.Lifecycle} makes a {@link dev.clickpipe.operator.Plan} of it
 * (the whole phase table), {@link dev.clickpipe.operator.Children} acts on the plan with objects built by
 * {@link dev.clickpipe.operator.Worker}, {@link dev.clickpipe.operator.Reporter} writes status, event and log.
 */
package dev.clickpipe.operator;
