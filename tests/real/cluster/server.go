package main

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/client-go/rest"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const token = "cluster-oracle"

// server is a real API server with its etcd, on loopback.
type server struct {
	config *rest.Config
	etcd   *embed.Etcd
}

// start runs etcd and the API server with the flags under test, and what any server needs beside them.
func start(folder string, flags []string) (*server, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	etcd, err := startEtcd(filepath.Join(folder, "etcd"), ports[0], ports[1])
	if err != nil {
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
	arguments := append([]string{
		"--etcd-servers=" + loopback("http", ports[0]).String(),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(ports[2]),
		"--cert-dir=" + certificates,
		"--token-auth-file=" + tokens,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + key,
		"--service-account-signing-key-file=" + key,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--endpoint-reconciler-type=none",
		// Nobody makes accounts here.
		"--disable-admission-plugins=ServiceAccount",
		"--allow-privileged=true",
	}, flags...)
	command := app.NewAPIServerCommand()
	command.SetArgs(arguments)
	go func() {
		fail("the API server ended: %v", command.Execute())
	}()
	certificate := filepath.Join(certificates, "apiserver.crt")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(certificate); err == nil {
			break
		} else if time.Now().After(deadline) {
			return nil, err
		}
	}
	config := &rest.Config{
		Host:            loopback("https", ports[2]).String(),
		BearerToken:     token,
		TLSClientConfig: rest.TLSClientConfig{CAFile: certificate},
		QPS:             -1,
	}
	return &server{config: config, etcd: etcd}, nil
}

// stored is what etcd has under a key.
func (s *server) stored(ctx context.Context, key string) ([]byte, error) {
	response, err := s.etcd.Server.Range(ctx, &pb.RangeRequest{Key: []byte(key)})
	if err != nil {
		return nil, err
	}
	if len(response.Kvs) != 1 {
		return nil, fmt.Errorf("etcd has %d values under %s", len(response.Kvs), key)
	}
	return response.Kvs[0].Value, nil
}

func startEtcd(folder string, clients, peers int) (*embed.Etcd, error) {
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
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case <-time.After(time.Minute):
		return nil, fmt.Errorf("not ready after a minute")
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
