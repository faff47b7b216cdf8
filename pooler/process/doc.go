// Package process puts the parts of a pooler pod together and runs them until it is told to leave.
//
//	agent    obeys the operator and drives the engines
//	control  operator -> agent, over mutual TLS
//	health   kubelet and Prometheus -> agent
//	drain    the order of leaving
//
// Here is also where the engine of each protocol is made to look like an agent.Engine.
package process
