// Package monitoring checks the alerts, the dashboard and the other objects of config/samples/monitoring: that they name
// metrics which exist, that each alert is raised when it should be, and only then, and that kstatus, by which deployment tools
// judge objects, reads a pool's status as it is meant.
//
// It is a module of its own, so that the product does not depend on Prometheus and others that only look at it.
package monitoring
