// Package loop waits for many sockets with one goroutine each loop, on epoll, and tells their owners what they are ready for.
//
//	          ┌──────────────────────────────────────────────┐
//	          v                                              │
//	wait for sockets ──> Handler.Ready for one ──> what was posted ──> next one ... ──> once more
//
// What a Handler and what is posted do, they do on the loop's goroutine, one after the other: what belongs to a loop needs no
// lock. They must not block.
//
// # Decisions
//
//   - A loop waits in epoll without telling Go's scheduler, for 5 ms at most: telling it costs twice the context switches and
//     up to 1.7 times the CPU. Only a loop that has had nothing to do for so long waits the ordinary way, so that an idle
//     process sleeps.
//   - But it stays preemptible: the signal by which the scheduler asks for the processor interrupts the wait, and the loop then
//     yields. Without this each garbage collection would wait up to 5 ms to stop the world. While goroutines have work to do
//     that others wait for (see Work), loops wait the ordinary way: they need the processor that a loop would hold.
//   - There must be more processors (GOMAXPROCS) than loops: New raises their number. Threads are not locked.
//   - Sockets are watched level-triggered: one read for each readiness is enough, and what is left is told again. Interest
//     changes seldom, so that a message costs no epoll_ctl.
//   - An event carries the generation of its Socket beside the descriptor: one that was gathered before its descriptor was
//     closed and used again is told apart.
//   - A socket that hangs up while nobody wants to read or write is taken out of epoll, which would report it for ever; it
//     is ready at once when somebody wants to again.
//   - A ready socket gets one turn, then the next one: a huge result costs the others one buffer's time.
package loop
