// Package podtest serves control ports of pretended pooler pods, for tests of those who talk to pods.
//
// A Pod here keeps the rules of a real one that matter to the operator: it lets in only who shows a certificate of its
// client CA, accepts no Config older than the last accepted, has the limits that its shares say and none without a
// share, and reports them. How many connections it has open, whether it leaves, and what bothers it is up to the test.
// A Network lets the test's pods have any address without owning it.
package podtest
