//! Collects connections: one for each pair of peers and port, with all that says so.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Certainty, Connection, Evidence, MemberId, Observed, Peer, Port, Unresolved};

/// More lines than this say no more.
const MOST_EVIDENCE: usize = 6;

#[derive(Debug, Default)]
pub(super) struct Found {
    by_ends: HashMap<(Peer, Peer, Option<Port>), usize>,
    pairs: HashSet<(Peer, Peer)>,
    sources: HashSet<Peer>,
    list: Vec<Connection>,
    unresolved: BTreeMap<(MemberId, String, usize, String), Unresolved>,
}

impl Found {
    /// Adds a connection for each port; for all ports when there is none.
    pub(super) fn add(
        &mut self,
        from: &Peer,
        to: &Peer,
        ports: &[Port],
        via: Option<&str>,
        certainty: &Certainty,
        evidence: &Evidence,
    ) {
        if ports.is_empty() {
            self.add_one(from, to, None, via, certainty, evidence);
        }
        for port in ports {
            self.add_one(from, to, Some(port), via, certainty, evidence);
        }
    }

    fn add_one(
        &mut self,
        from: &Peer,
        to: &Peer,
        port: Option<&Port>,
        via: Option<&str>,
        certainty: &Certainty,
        evidence: &Evidence,
    ) {
        let key = (from.clone(), to.clone(), port.cloned());
        if let Some(idx) = self.by_ends.get(&key) {
            let known = &mut self.list[*idx];
            if *certainty < known.certainty {
                known.certainty = certainty.clone();
            }
            if known.via.is_none() {
                known.via = via.map(str::to_owned);
            }
            if known.evidence.len() < MOST_EVIDENCE && !known.evidence.contains(evidence) {
                known.evidence.push(evidence.clone());
            }
            return;
        }
        if !matches!(certainty, Certainty::Guess(_)) {
            self.pairs.insert((from.clone(), to.clone()));
            self.sources.insert(from.clone());
        }
        self.by_ends.insert(key, self.list.len());
        self.list.push(Connection {
            from: from.clone(),
            to: to.clone(),
            port: port.cloned(),
            via: via.map(str::to_owned),
            certainty: certainty.clone(),
            evidence: vec![evidence.clone()],
            observed: None,
        });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.unresolved.is_empty()
    }

    /// Adds all that was found elsewhere, as if it had been found here.
    pub(super) fn absorb(&mut self, other: Found) {
        for connection in other.list {
            let Connection { from, to, port, via, certainty, evidence, .. } = connection;
            for evidence in evidence {
                self.add_one(&from, &to, port.as_ref(), via.as_deref(), &certainty, &evidence);
            }
        }
        for (key, unresolved) in other.unresolved {
            self.unresolved.entry(key).or_insert(unresolved);
        }
    }

    /// Whether something is known to connect two peers.
    pub(super) fn has_pair(&self, from: &Peer, to: &Peer) -> bool {
        self.pairs.contains(&(from.clone(), to.clone()))
    }

    /// Whether something is known that a peer opens.
    pub(super) fn opens(&self, from: &Peer) -> bool {
        self.sources.contains(from)
    }

    pub(super) fn unresolved(&mut self, member: MemberId, reason: String, evidence: Evidence) {
        let key = (member, evidence.path.clone(), evidence.line, reason.clone());
        self.unresolved.entry(key).or_insert(Unresolved { member, reason, evidence });
    }

    pub(super) fn list(&self) -> &[Connection] {
        &self.list
    }

    pub(super) fn observe(&mut self, idx: usize, observed: Observed, evidence: Option<Evidence>) {
        let connection = &mut self.list[idx];
        connection.observed = Some(match (connection.observed, observed) {
            (Some(Observed::Seen { flows: known }), Observed::Seen { flows }) => {
                Observed::Seen { flows: known + flows }
            }
            (_, observed) => observed,
        });
        if let Some(evidence) = evidence {
            connection.certainty = Certainty::Sure;
            if connection.evidence.len() < MOST_EVIDENCE {
                connection.evidence.push(evidence);
            }
        }
    }

    /// Everything, in an order that does not depend on how it was found.
    pub(super) fn into_sorted(self) -> (Vec<Connection>, Vec<Unresolved>) {
        let mut list = self.list;
        for connection in &mut list {
            connection.evidence.sort();
        }
        list.sort_by(|a, b| (&a.from, &a.to, &a.port).cmp(&(&b.from, &b.to, &b.port)));
        (list, self.unresolved.into_values().collect())
    }
}
