// Package window remembers the last minute of one destination: the highest number of connections lent and of clients
// waiting, how many acquires timed out, and how long clients waited.
//
//	second   58  59   0   1   2
//	        [  ][  ][  ][  ][  ]   a ring: the slot of a second is taken again Seconds later
//	                      ^ now
//
// Decisions
//   - A slot holds what changed since the sample before, because an engine's counters only rise. The first sample is
//     the zero from which the window counts.
//   - Time is passed in. A sample from the past falls into the newest slot, so that a clock that is set back loses nothing.
//   - The size is fixed: Seconds slots, each with one count per bound of the histogram.
package window
