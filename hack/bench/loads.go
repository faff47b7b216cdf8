package main

// load is one kind of work that every program is put under.
type load struct {
	name   string
	direct bool // PostgreSQL itself can do it, too
	twice  bool // PgBouncer runs as two processes that share the port
	run    func(g *ground, s *subject, seconds float64) (values, error)
	rows   []row
}

// values are what a load has measured, by figure.
type values map[string]float64

// row is one line of the table.
type row struct {
	figure    string
	unit      string
	ratio     bool // the targets are for the ratio to PgBouncer
	more      bool // more is better
	must      float64
	ambitious float64
}

// loads are those of the table.
var loads = []load{
	{name: "alone, simple, 64 clients", run: alone("simple", 64), rows: []row{
		{figure: cpu, unit: "us/tx", ratio: true, must: 0.95, ambitious: 0.85},
		{figure: userCPU, unit: "us/tx", must: 2.5, ambitious: 1.8},
	}},
	{name: "alone, extended, 64 clients", run: alone("extended", 64), rows: []row{
		{figure: cpu, unit: "us/tx", ratio: true, must: 0.95, ambitious: 0.85},
	}},
	{name: "alone, 10,000 clients", run: crowd(10_000), rows: []row{
		{figure: tail, must: 1.5, ambitious: 1.5},
		{figure: unequal, must: 1.05, ambitious: 1.05},
		{figure: cpu, unit: "us/tx", ratio: true},
	}},
	{name: "system calls, 64 clients", run: systemCalls(64), rows: []row{
		{figure: calls, unit: "/tx", must: 5, ambitious: 4.4},
	}},
	{name: "pgbench, 64 clients", direct: true, run: pgbench("simple", 64), rows: []row{
		{figure: tps, ratio: true, more: true},
		{figure: cpu, unit: "us/tx", ratio: true},
		{figure: userCPU, unit: "us/tx", must: 2.5, ambitious: 1.8},
		{figure: p99, unit: "ms", ratio: true},
	}},
	{name: "pgbench, 256 clients", direct: true, run: pgbench("simple", 256), rows: []row{
		{figure: tps, ratio: true, more: true, must: 1.15, ambitious: 1.35},
		{figure: cpu, unit: "us/tx", ratio: true, must: 1, ambitious: 0.85},
		{figure: p99, unit: "ms", ratio: true, must: 1, ambitious: 0.75},
	}},
	{name: "pgbench, 1000 clients, two PgBouncers", twice: true, run: pgbench("simple", 1000), rows: []row{
		{figure: tps, ratio: true, more: true, must: 0.95, ambitious: 1.05},
	}},
	{name: "10,000 idle clients, plain", run: idle(10_000, false), rows: []row{
		{figure: memory, unit: "kB each", must: 1, ambitious: 0.6},
		{figure: cpu, unit: "% of a CPU", must: 0.1, ambitious: 0.02},
	}},
	{name: "2,000 idle clients, TLS", run: idle(2_000, true), rows: []row{
		{figure: memory, unit: "kB each", must: 16, ambitious: 13},
	}},
	{name: "large results, plain", direct: true, run: large(false), rows: []row{
		{figure: cpu, unit: "s/GB", must: 0.6, ambitious: 0.45},
	}},
	{name: "large results, TLS", run: large(true), rows: []row{
		{figure: cpu, unit: "s/GB", must: 0.6, ambitious: 0.42},
	}},
	{name: "connect, query, disconnect; plain", run: churn(false), rows: []row{
		{figure: tps, ratio: true, more: true, must: 1, ambitious: 1.2},
	}},
	{name: "connect, query, disconnect; TLS", run: churn(true), rows: []row{
		{figure: tps, ratio: true, more: true, must: 0.9, ambitious: 1.1},
	}},
}

// Figures.
const (
	cpu     = "CPU"
	userCPU = "user CPU"
	tps     = "transactions/s"
	p99     = "p99"
	tail    = "p99 / p50"
	unequal = "most / least served"
	calls   = "system calls"
	memory  = "memory"
)
