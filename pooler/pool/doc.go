// Package pool keeps connections ready and lends them fairly.
//
// A Pool serves one destination, a Set many under one budget. Both never have more connections open than
// they may: a connection counts from before its dial starts until its Close hook has returned.
//
// A client that finds nothing idle waits, first come first served in its class, for whatever comes first: a connection
// released or one newly dialed. Dials belong to the pool: a client that gives up does not cancel one.
//
//	p, err := pool.New(pool.DefaultConfig(), pool.Hooks[net.Conn]{Dial: connect, Close: hangUp})
//	...
//	lease, err := p.Acquire(ctx)
//	...
//	defer lease.Release()
//	fmt.Fprint(lease.Conn(), "hello")
//
// # States
//
// Each connection is in one of five states, and open is their sum:
//
//	         dial ok                Acquire
//	dialing ─────────┐        ┌───────────────┐
//	   │             ▼        │               ▼
//	   │           idle ──────┘             lent ──── Hijack ──▶ gone
//	   │            ▲ │  check               │ │
//	   │            │ └──────▶ resetting ◀───┘ │ Discard, too old,
//	   │ fails      └────────────┘   Reset     │ too many, retired
//	   ▼                                       ▼
//	  gone ◀──────────── Close returned ─── closing
//
// # The rule of liveness
//
// A client waits only while something that ends is under way: a connection lent, dialing, resetting or closing,
// an armed retry timer, or, in a Set whose budget is used up or for a tenant that has all it may, such a thing in another pool. (A paused pool and one
// whose limit is zero wait for Resume, Configure or SetBudget.) Every core that lost this rule lost it where one
// event (a raise, a broken connection, a failed dial) forgot to look at the queue. Here counts change in one function
// (move), and every event ends in serve, which alone gives what is free to who waits and dials for the rest.
// Built with the tag poolcheck, each unlock proves this and that the counts add up.
//
// # Decisions
//
//   - One mutex, shared by all pools of a Set: it makes the budget exact and the sums consistent, and an uncontended
//     pair of lock and unlock is cheaper than the atomics that would replace it. It is held for no hook and no wait.
//   - Idle connections are a stack: the warm ones are used, the cold end is what a sweep closes.
//   - A released connection goes to the oldest waiter under the same lock, and the releaser then yields its CPU to it, if
//     clients were kept waiting for theirs lately. See yield.go.
//   - The deadline of a waiter is compared with the clock at hand-off: nothing is lent to who has given up. While clients
//     wait the clock is read before the lock is taken, and what changes with each lease lies together in memory: of a
//     busy pool most of the time goes where one CPU waits for another.
//   - Times that decide about idle connections come from a clock read once per tick (a quarter of a second), because reading
//     the clock costs more than the rest of an Acquire. While all are idle a tick is a second, as each wakes the process, and who
//     acquires reads the clock.
//   - At most Config.MaxDials run side by side; after a failure one, and one more after each success. Retries back off from
//     100 ms to 5 s. A slower start spares no server: a PostgreSQL on two CPUs opened 64 connections in 110 ms by 8, 16, 32 or
//     64 at a time, with the same effect on the queries of others; and one that is 20 ms away needed 430 ms by 4 at a
//     time, 145 ms by 16.
//   - A dial is not begun for a client whom a connection will reach sooner that others are about to release, by the rate
//     of the last releases and the mean time of a dial; hope ends after that time. Config.Eager does without.
//   - Open follows demand between Min and Max: recent peaks keep a stock ready, a server that refuses connections sets a
//     ceiling for a while, and what nears the end of its Lifetime is replaced first if it will be missed. See size.go,
//     ceiling.go and replace.go; Stats tells Keep and Ceiling, and how many were Warmed and Replaced.
//   - A keepalive check takes an idle connection out of the stack and puts it back where it was: it is no use.
//   - Clients wait in a line for each of four classes, which are served in turns by weight. A client may prefer an idle
//     connection by its tag, which is looked for among the 32 warmest; nobody waits for one. Shedding is opt-in, see shed.go, and
//     so is a reserve for the highest class, see reserve.go.
//   - What costs is opt-in: where a lease was acquired is noted only with Config.LeakAfter, and of 64 leases one is timed.
//   - In a Set places go to the waiting pool that holds the fewest, so that the division tends to max-min fairness over
//     demand. What a tenant may have, some of a Set's pools, is divided by the same rules. See divide.go.
package pool
