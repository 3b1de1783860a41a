/**
 * The real parts that tests and the demo run against, where no servers are installed.
 *
 * <ul>
 *   <li>{@link dev.clickpipe.testbed.SharedPostgres} and {@link dev.clickpipe.testbed.SharedClickHouse}: JUnit
 *       extensions, one server a test run, a fresh database for each test class.
 *   <li>{@link dev.clickpipe.testbed.PostgresServer} and {@link dev.clickpipe.testbed.ClickHouseProcess}: servers of a
 *       test's own, to be stopped, killed and started again.
 *   <li>{@link dev.clickpipe.testbed.TableComparison}: whether source and target hold the same rows.
 *   <li>{@link dev.clickpipe.testbed.ClickHouseServer} and {@link dev.clickpipe.testbed.Helm}: main programs, too.
 * </ul>
 */
package dev.clickpipe.testbed;
