// Command netpol-analyzer asks np-guard's analyzer of network policies, which is written by others, what pods of a
// folder may open to each other. It reads the manifests itself. Prints a line of JSON for each workload, and one for
// each pair of workloads between which something is allowed.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"sort"

	"github.com/np-guard/netpol-analyzer/pkg/netpol/connlist"
)

// line is one line of output: a workload has no other end. Ends are `NAMESPACE KIND/NAME`.
type line struct {
	From  string      `json:"from"`
	To    string      `json:"to,omitempty"`
	Ports []portRange `json:"ports"`
}

type portRange struct {
	Protocol string `json:"protocol"`
	First    int64  `json:"first"`
	Last     int64  `json:"last"`
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: netpol-analyzer FOLDER")
	}
	analyzer := connlist.NewConnlistAnalyzer(connlist.WithMuteErrsAndWarns())
	connections, peers, err := analyzer.ConnlistFromDirPath(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	write := func(line line) {
		if err := encoder.Encode(line); err != nil {
			log.Fatal(err)
		}
	}
	for _, peer := range peers {
		if !peer.IsPeerIPType() {
			write(line{From: name(peer), Ports: []portRange{}})
		}
	}
	for _, connection := range connections {
		if connection.Src().IsPeerIPType() || connection.Dst().IsPeerIPType() {
			continue
		}
		ports := []portRange{}
		if connection.AllProtocolsAndPorts() {
			for _, protocol := range []string{"SCTP", "TCP", "UDP"} {
				ports = append(ports, portRange{protocol, 1, 65535})
			}
		}
		for protocol, ranges := range connection.ProtocolsAndPorts() {
			for _, ends := range ranges {
				ports = append(ports, portRange{string(protocol), ends.Start(), ends.End()})
			}
		}
		sort.Slice(ports, func(i, j int) bool {
			if ports[i].Protocol != ports[j].Protocol {
				return ports[i].Protocol < ports[j].Protocol
			}
			return ports[i].First < ports[j].First
		})
		write(line{From: name(connection.Src()), To: name(connection.Dst()), Ports: ports})
	}
}

func name(peer connlist.Peer) string {
	return peer.Namespace() + " " + peer.Kind() + "/" + peer.Name()
}
