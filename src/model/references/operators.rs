//! Custom resources that name images for the containers their operators make: where each kind does.
//!
//! Sources: the CRDs of the projects named. `*` in a path stands for every item of a list.

use serde_json::Value;

use crate::config::ImageFields;
use crate::model::ObjectId;

type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

const FIELDS: &[Row] = &[
    (
        "monitoring.coreos.com",
        &["Prometheus", "PrometheusAgent", "Alertmanager", "ThanosRuler"],
        &["/spec/image", "/spec/thanos/image", "/spec/containers/*/image", "/spec/initContainers/*/image"],
    ),
    (
        "kafka.strimzi.io",
        &["Kafka", "KafkaConnect", "KafkaMirrorMaker2", "KafkaBridge"],
        &[
            "/spec/image",
            "/spec/kafka/image",
            "/spec/zookeeper/image",
            "/spec/entityOperator/topicOperator/image",
            "/spec/entityOperator/userOperator/image",
            "/spec/cruiseControl/image",
            "/spec/kafkaExporter/image",
        ],
    ),
    ("postgresql.cnpg.io", &["Cluster"], &["/spec/imageName"]),
    ("acid.zalan.do", &["postgresql"], &["/spec/dockerImage", "/spec/sidecars/*/image"]),
    (
        "elasticsearch.k8s.elastic.co",
        &["Elasticsearch"],
        &[
            "/spec/image",
            "/spec/nodeSets/*/podTemplate/spec/containers/*/image",
            "/spec/nodeSets/*/podTemplate/spec/initContainers/*/image",
        ],
    ),
    ("kibana.k8s.elastic.co", &["Kibana"], &["/spec/image"]),
    ("opentelemetry.io", &["OpenTelemetryCollector"], &["/spec/image"]),
    ("rabbitmq.com", &["RabbitmqCluster"], &["/spec/image"]),
    ("databases.spotahome.com", &["RedisFailover"], &["/spec/redis/image", "/spec/sentinel/image"]),
    ("minio.min.io", &["Tenant"], &["/spec/image"]),
    ("ceph.rook.io", &["CephCluster"], &["/spec/cephVersion/image"]),
    ("psmdb.percona.com", &["PerconaServerMongoDB"], &["/spec/image", "/spec/backup/image"]),
    (
        "pxc.percona.com",
        &["PerconaXtraDBCluster"],
        &["/spec/pxc/image", "/spec/haproxy/image", "/spec/backup/image"],
    ),
    ("operators.coreos.com", &["CatalogSource"], &["/spec/image"]),
    (
        "operators.coreos.com",
        &["ClusterServiceVersion"],
        &[
            "/spec/relatedImages/*/image",
            "/spec/install/spec/deployments/*/spec/template/spec/containers/*/image",
            "/spec/install/spec/deployments/*/spec/template/spec/initContainers/*/image",
        ],
    ),
    (
        "grafana.integreatly.org",
        &["Grafana"],
        &[
            "/spec/deployment/spec/template/spec/containers/*/image",
            "/spec/deployment/spec/template/spec/initContainers/*/image",
        ],
    ),
];

/// Paths of an object's images: the built-in ones, and those of the configuration.
pub(super) fn fields<'c>(id: &ObjectId, custom: &'c [ImageFields]) -> Vec<&'c str> {
    let rows = FIELDS.iter().filter(|(group, kinds, _)| *group == id.group() && kinds.contains(&&*id.kind));
    let built_in = rows.flat_map(|(_, _, fields)| fields.iter().copied());
    let own = custom.iter().filter(|own| own.group == id.group() && own.kind == *id.kind);
    built_in.chain(own.flat_map(|own| own.paths.iter().map(String::as_str))).collect()
}

/// The images at these paths, with their pointers.
pub(super) fn images(fields: &[&str], object: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for field in fields {
        let tokens: Vec<&str> = field.split('/').skip(1).collect();
        descend(object, &tokens, String::new(), &mut found);
    }
    found
}

fn descend(value: &Value, tokens: &[&str], at: String, found: &mut Vec<(String, String)>) {
    match tokens {
        [] => found.extend(value.as_str().filter(|text| !text.is_empty()).map(|text| (at, text.to_owned()))),
        ["*", rest @ ..] => {
            for (idx, item) in value.as_array().into_iter().flatten().enumerate() {
                descend(item, rest, format!("{at}/{idx}"), found);
            }
        }
        [key, rest @ ..] => {
            if let Some(inner) = value.get(key) {
                descend(inner, rest, format!("{at}/{key}"), found);
            }
        }
    }
}
