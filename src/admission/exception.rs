//! How an exception of a policy names one workload and what its controllers make of it, and nothing else.

/// Alphabet of the hashes and suffixes that Kubernetes makes up: no vowels, so no word of a longer name.
/// <https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apimachinery/pkg/util/rand/rand.go>
const MADE_UP: &str = "[b-df-hj-np-tv-xz2-9]";

/// A workload that a requirement does not bind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exception {
    /// Empty where nothing tells: then in every namespace of the policy.
    pub namespaces: Vec<String>,
    pub kind: String,
    pub name: String,
    /// Where somebody allowed it.
    pub place: String,
}

impl Exception {
    /// True, in CEL, of the workload and of the objects that its controllers make.
    pub fn expression(&self) -> String {
        let namespace = match self.namespaces.as_slice() {
            [] => "[^/]*".to_owned(),
            [one] => literal(one),
            several => {
                format!("({})", several.iter().map(|name| literal(name)).collect::<Vec<_>>().join("|"))
            }
        };
        format!("variables.workload.matches('^{namespace}/{}$')", self.names())
    }

    /// Names of the object and of what is made of it, as a regular expression. Names from `generateName` may still
    /// lack their end.
    fn names(&self) -> String {
        if let Some(prefix) = self.name.strip_suffix('*') {
            return format!("{}.*", literal(prefix));
        }
        let pod = format!("(-{MADE_UP}{{0,5}})?");
        let children = match self.kind.as_str() {
            "Pod" => String::new(),
            // Its ReplicaSets, and their pods.
            "Deployment" | "DeploymentConfig" => format!("(-{MADE_UP}{{1,10}}{pod})?"),
            "DaemonSet" | "ReplicaSet" | "ReplicationController" => pod,
            "StatefulSet" => "(-[0-9]+)?".to_owned(),
            // Pods of indexed jobs have their index before the suffix.
            "Job" => format!("(-[0-9]+)?{pod}"),
            "CronJob" => format!("(-[0-9]+(-[0-9]+)?{pod})?"),
            // What an operator calls them, nobody here knows.
            _ => "(-.*)?".to_owned(),
        };
        format!("{}{children}", literal(&self.name))
    }
}

/// Names of objects have dots, and nothing else that a regular expression reads as more than itself.
fn literal(name: &str) -> String {
    name.chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' => c.to_string(),
            '.' => "[.]".to_owned(),
            // No name that a cluster takes has another character: it matches nothing of theirs.
            _ => "[^ -~]".to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, name: &str, expected: &str) {
        let exception = Exception {
            namespaces: vec!["shop".to_owned()],
            kind: kind.to_owned(),
            name: name.to_owned(),
            place: String::new(),
        };
        assert_eq!(exception.expression(), format!("variables.workload.matches('^shop/{expected}$')"));
    }

    #[test]
    fn a_pod_is_itself() {
        check("Pod", "web", "web");
        check("Pod", "a.b", "a[.]b");
    }

    #[test]
    fn controllers_bring_what_they_make() {
        check("StatefulSet", "db", "db(-[0-9]+)?");
        check("DaemonSet", "agent", "agent(-[b-df-hj-np-tv-xz2-9]{0,5})?");
        check("Job", "load-*", "load-.*");
    }

    #[test]
    fn a_quote_in_a_name_stays_inside_the_text() {
        check("Pod", "x')||true||('", "x[^ -~][^ -~][^ -~][^ -~]true[^ -~][^ -~][^ -~][^ -~]");
    }

    #[test]
    fn an_exception_without_a_namespace_holds_in_all() {
        let exception = Exception {
            namespaces: Vec::new(),
            kind: "Pod".to_owned(),
            name: "web".to_owned(),
            place: String::new(),
        };
        assert_eq!(exception.expression(), "variables.workload.matches('^[^/]*/web$')");
    }
}
