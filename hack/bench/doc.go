// Bench puts Weir's pooler beside PgBouncer and PostgreSQL itself under the same loads, and prints a table: medians, the
// ratio to PgBouncer, and the distance from what must and what should be reached.
//
//   - Each is as a user has it: the engine that cmd/pooler runs, PgBouncer of Debian with
//     its ini file; transaction mode, 20 server connections, SCRAM on both sides.
//   - They take turns within each round, so that the noise of seconds falls on all; a ratio is the median of the rounds'
//     ratios. On a shared machine trust, in this order: CPU per transaction against the made-up server, system calls,
//     memory, CPU with PostgreSQL (15 % more or less), and the clock only as a ratio of many rounds.
//   - CPU is what the scheduler has counted for all threads of the pooler (schedstat).
//   - "alone" is the most repeatable: the pooler alone on one CPU, and on another a single thread that is made-up server and
//     clients at once. It needs two CPUs.
//   - System calls are counted by strace, whose brake raises batching: a lower bound, the same for all.
package main
