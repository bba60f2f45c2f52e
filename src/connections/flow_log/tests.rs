use super::*;

/// What a log comes to, one flow a line.
#[track_caller]
fn check(log: &str, expected: &[&str]) {
    let mut reader = FlowReader::default();
    reader.read("log", log.as_bytes()).unwrap();
    let end = |end: &FlowEnd| {
        let special = end.special.map(|special| format!("{special:?}"));
        let parts = [&end.namespace, &end.workload, &end.address, &end.host, &special];
        parts.into_iter().flatten().cloned().collect::<Vec<_>>().join("/")
    };
    let flows = reader.finish();
    let mut shown: Vec<String> = flows
        .list
        .iter()
        .map(|flow| {
            let (from, to, protocol) = (end(&flow.from), end(&flow.to), flow.protocol.as_str());
            format!("{from} -> {to} {protocol} {} x{} line {}", flow.port, flow.count, flow.line)
        })
        .collect();
    if let Some((_, line)) = &flows.first_unread {
        shown.push(format!("{} unread from line {line}", flows.unread));
    }
    assert_eq!(shown, expected);
}

#[test]
fn hubble_flows_are_read_and_answers_and_denials_are_not() {
    let flow = |verdict: &str, reply: bool, to: &str| {
        format!(
            r#"{{"flow":{{"verdict":"{verdict}","is_reply":{reply},"IP":{{"source":"10.0.0.1","destination":"10.0.0.2"}},"l4":{{"TCP":{{"source_port":40000,"destination_port":5432}}}},"source":{{"namespace":"shop","pod_name":"web-1","workloads":[{{"name":"web","kind":"Deployment"}}]}},"destination":{to}}}}}"#
        )
    };
    let db = r#"{"namespace":"shop","pod_name":"db-0"}"#;
    let log = [
        flow("FORWARDED", false, db),
        flow("FORWARDED", false, db),
        flow("FORWARDED", true, db),
        flow("DROPPED", false, db),
        flow("FORWARDED", false, r#"{"labels":["reserved:kube-apiserver"]}"#),
        r#"{"flow":{"verdict":"FORWARDED","l4":{"ICMPv4":{}}}}"#.to_owned(),
    ];
    check(
        &log.join("\n"),
        &["shop/web -> shop/db-0 TCP 5432 x2 line 1", "shop/web -> 10.0.0.2/ApiServer TCP 5432 x1 line 5"],
    );
}

#[test]
fn calico_flows_are_read() {
    let log = r#"{"source_type":"wep","source_namespace":"shop","source_name":"-","source_name_aggr":"web-5d9f-*","dest_type":"net","dest_ip":"192.0.2.7","dest_domains":["api.test"],"dest_port":"443","proto":"tcp","action":"allow","num_flows":3}
{"source_type":"wep","dest_port":1,"proto":"tcp","action":"deny"}"#;
    check(log, &["shop/web-5d9f -> 192.0.2.7/api.test TCP 443 x3 line 1"]);
}

#[test]
fn plain_lines_are_read_with_and_without_a_header() {
    check(
        "shop,web,shop,db,5432,tcp\nshop,web,-,192.0.2.7,53,UDP",
        &["shop/web -> shop/db TCP 5432 x1 line 1", "shop/web -> 192.0.2.7 UDP 53 x1 line 2"],
    );
    check("port,dst,src\n80,\"a,b\",c\n", &["c -> a,b TCP 80 x1 line 2"]);
    check(
        r#"{"src_ns":"shop","src_workload":"web","dst_ns":"shop","dst_workload":"db","port":5432,"proto":"TCP"}"#,
        &["shop/web -> shop/db TCP 5432 x1 line 1"],
    );
}

#[test]
fn lines_of_no_format_are_counted() {
    check(
        "{broken\n\na,b,c,d,e,f\nshop,web,shop,db,5432,tcp\n{}",
        &["shop/web -> shop/db TCP 5432 x1 line 4", "3 unread from line 1"],
    );
}
