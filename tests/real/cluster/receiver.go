package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// receive listens where a kubeconfig of the audit webhook sends to.
func receive(kubeconfig string) (chan auditv1.Event, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", target.Host)
	if err != nil {
		return nil, err
	}
	// Nobody waits for the events but the check: a full channel drops them.
	received := make(chan auditv1.Event, 10_000)
	handler := http.NewServeMux()
	handler.HandleFunc(target.Path, func(w http.ResponseWriter, request *http.Request) {
		var events auditv1.EventList
		if err := json.NewDecoder(request.Body).Decode(&events); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, event := range events.Items {
			select {
			case received <- event:
			default:
			}
		}
	})
	go http.Serve(listener, handler)
	return received, nil
}

// shipped waits for the request by the oracle that is in the log as well.
func shipped(ctx context.Context, s *running) error {
	for {
		select {
		case event := <-s.received:
			if event.ObjectRef != nil && event.User.Username == "oracle" && event.ObjectRef.Resource == "nodes" {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("the last request does not arrive: %w", ctx.Err())
		}
	}
}
