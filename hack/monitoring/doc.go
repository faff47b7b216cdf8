// Package monitoring checks the alerts, the dashboard and the other objects of config/samples/monitoring: that they name
// metrics which exist, and that each alert is raised when it should be, and only then.
//
// It is a module of its own, so that the product does not depend on Prometheus.
package monitoring
