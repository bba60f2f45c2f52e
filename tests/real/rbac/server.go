package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/client-go/rest"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const token = "rbac-oracle"

// start runs etcd and the API server on free ports of the loopback interface, with their files in folder.
func start(folder, version string) (*rest.Config, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	if err := startEtcd(filepath.Join(folder, "etcd"), ports[0], ports[1]); err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	tokens := filepath.Join(folder, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(token+",oracle,u1,\"system:masters\"\n"), 0o600); err != nil {
		return nil, err
	}
	key := filepath.Join(folder, "accounts.key")
	if err := writeKey(key); err != nil {
		return nil, err
	}
	certificates := filepath.Join(folder, "certificates")
	arguments := []string{
		"--etcd-servers=" + loopback("http", ports[0]).String(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(ports[2]),
		"--cert-dir=" + certificates,
		"--token-auth-file=" + tokens,
		"--authorization-mode=RBAC",
		"--anonymous-auth=false",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + key,
		"--service-account-signing-key-file=" + key,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--endpoint-reconciler-type=none",
		// Roles go into namespaces that nobody made, and nothing is deleted with them.
		"--disable-admission-plugins=ServiceAccount,NamespaceLifecycle",
		"--allow-privileged=true",
		"--profiling=false",
		"--enable-priority-and-fairness=false",
		"--v=0",
	}
	audit, err := auditArguments(folder)
	if err != nil {
		return nil, err
	}
	arguments = append(arguments, audit...)
	if version != "" {
		arguments = append(arguments, "--emulated-version=kube="+version)
	}
	command := app.NewAPIServerCommand()
	command.SetArgs(arguments)
	go func() {
		err := command.Execute()
		fail("the API server ended: %v", err)
	}()
	certificate := filepath.Join(certificates, "apiserver.crt")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(certificate); err == nil {
			break
		} else if time.Now().After(deadline) {
			return nil, err
		}
	}
	return &rest.Config{
		Host:            loopback("https", ports[2]).String(),
		BearerToken:     token,
		TLSClientConfig: rest.TLSClientConfig{CAFile: certificate},
		ContentConfig:   rest.ContentConfig{ContentType: "application/vnd.kubernetes.protobuf", AcceptContentTypes: "application/vnd.kubernetes.protobuf,application/json"},
		QPS:             -1,
	}, nil
}

func startEtcd(folder string, clients, peers int) error {
	config := embed.NewConfig()
	config.Dir = folder
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.ListenClientUrls = []url.URL{*loopback("http", clients)}
	config.AdvertiseClientUrls = config.ListenClientUrls
	config.ListenPeerUrls = []url.URL{*loopback("http", peers)}
	config.AdvertisePeerUrls = config.ListenPeerUrls
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("not ready after a minute")
	}
}

func loopback(scheme string, port int) *url.URL {
	return &url.URL{Scheme: scheme, Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
}

// freePorts asks for all of them before it gives one back, so that they differ.
func freePorts(n int) ([]int, error) {
	ports := make([]int, n)
	for idx := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports[idx] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}
