package controllers

import (
	"context"
	"slices"

	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/weir-dev/weir/controllers/pods"
	"github.com/weir-dev/weir/pooler/podapi"
)

// push sends the bytes of the ConfigMap to the pods that do not run them yet, and hears what these pods do then.
func (p *pass) push(ctx context.Context) {
	var lagging []pods.Pod
	for _, pod := range p.pods {
		if slices.Contains(p.plan.Lagging, pod.UID) {
			lagging = append(lagging, pod)
		}
	}
	if len(lagging) == 0 {
		return
	}
	results, failed := p.Pods.PushAll(ctx, lagging, []byte(p.plan.Data[podapi.ConfigKey]))
	p.pushed = len(failed) < len(lagging)
	for _, result := range results {
		for i := range p.observation.Pods {
			if p.observation.Pods[i].UID == result.Pod.UID {
				p.observation.Pods[i].State, p.observation.Pods[i].AnsweredAt = result.State, result.At
				p.observation.Pods[i].Silent = result.Err != nil
			}
		}
		p.tell(ctx, result.Pod, failed[result.Pod.UID])
	}
}

// tell logs why a pod did not take a push, once for each reason. Of pods that come or go it is no news.
func (p *pass) tell(ctx context.Context, pod pods.Pod, err error) {
	if err == nil {
		delete(p.known.refusedPush, pod.UID)
		return
	}
	if p.known.refusedPush[pod.UID] == err.Error() {
		return
	}
	p.known.refusedPush[pod.UID] = err.Error()
	log := logf.FromContext(ctx)
	if pod.Terminating || !pod.Ready {
		log = log.V(1)
	}
	log.Info("a pod did not take the configuration", "pod", pod.Name, "ledger", p.plan.Document.Config.Ledger, "reason", err.Error())
}
