//! Lets go of nodes that nobody looks at: schemas in definitions of custom resources are most of many repos.
//!
//! What is asked for all the same is read again from the text: values, edits and comments stay what they were.

use serde_json::Value;

use super::Stream;
use super::arena::{Arena, Raw, Shape};
use super::value::Failure;

impl Stream {
    /// Forgets the nodes below every entry of a block mapping with this key. [`super::Node`]s find nothing there from
    /// then on, and [`Stream::locate`] stops at the entry. Streams with anchors or tags keep everything.
    pub fn forget_below(&mut self, key: &str) {
        if self.arena.properties.is_empty() {
            let text = &self.text;
            self.arena.forget_below(|raw| {
                raw.shape == Shape::Plain && &text[raw.start as usize..raw.end as usize] == key
            });
        }
    }

    /// The stream with all its nodes, if some are forgotten.
    pub(super) fn whole(&self) -> Option<Stream> {
        let forgets = self.arena.nodes.iter().any(|node| node.is_forgotten);
        forgets.then(|| Stream::parse(self.text.clone(), &self.limits).expect("the text was parsed before"))
    }

    /// The value of a node whose subtree is forgotten.
    pub(super) fn forgotten_value(&self, id: u32) -> Result<Value, Failure> {
        let raw = self.arena.raw(id);
        let whole = self.whole().expect("the node's own subtree is forgotten");
        let is_same = |other: &Raw| (other.start, other.end, other.shape) == (raw.start, raw.end, raw.shape);
        let at = whole.arena.nodes.iter().position(is_same).expect("the same text has the same nodes");
        whole.value_of(u32::try_from(at).expect("a text has fewer nodes than bytes"))
    }
}

impl Arena {
    /// Takes the subtrees of collections out that follow a key. There are neither aliases nor properties.
    fn forget_below(&mut self, is_key: impl Fn(&Raw) -> bool) {
        let mut nodes: Vec<Raw> = Vec::new();
        let mut decoded = std::mem::take(&mut self.decoded).into_vec();
        // Where each node went; those that are forgotten to the next one that is kept.
        let mut places: Vec<u32> = Vec::with_capacity(self.nodes.len() + 1);
        let mut kept_texts = Vec::new();
        let mut id = 0;
        while let Some(raw) = self.nodes.get(id) {
            let mut raw = *raw;
            let follows_key = id.checked_sub(1).is_some_and(|key| is_key(&self.nodes[key]));
            raw.is_forgotten = follows_key && raw.shape == Shape::BlockMapping;
            if raw.is_decoded {
                kept_texts.push(std::mem::take(&mut decoded[raw.link as usize]));
                raw.link = kept_texts.len() as u32 - 1;
            }
            let next = if raw.is_forgotten { raw.link as usize } else { id + 1 };
            places.push(nodes.len() as u32);
            nodes.push(raw);
            places.extend((id + 1..next).map(|_| nodes.len() as u32));
            id = next;
        }
        places.push(nodes.len() as u32);
        for raw in nodes.iter_mut().filter(|raw| raw.shape.is_mapping() || raw.shape.is_sequence()) {
            raw.link = places[raw.link as usize];
        }
        for document in &mut self.documents {
            document.root = document.root.map(|root| places[root as usize]);
        }
        (self.nodes, self.decoded) = (nodes.into(), kept_texts.into());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::KubernetesOrder;
    use crate::yaml::{Limits, Pointer};

    const TEXT: &str = "\
# Of the whole.
kind: Definition
spec:
  versions:
    - name: v1
      schema:
        open: # As it is served.
          type: object
          description: |-
            Two
            lines.
          properties: {a: 1}
      served: true
    - name: \"v\\x32\"
      schema:
        open: none
---
last: |
  text
";

    fn parsed() -> Stream {
        Stream::parse(TEXT.to_owned(), &Limits::default()).unwrap()
    }

    fn forgetful() -> Stream {
        let mut stream = parsed();
        stream.forget_below("open");
        stream
    }

    #[test]
    fn nodes_are_let_go() {
        let (before, after) = (parsed().arena, forgetful().arena);
        assert_eq!(before.nodes.len() - after.nodes.len(), 8);
        assert_eq!(before.decoded.len() - after.decoded.len(), 1);
    }

    #[test]
    fn values_and_comments_are_the_same() {
        let (whole, stream) = (parsed(), forgetful());
        for document in 0..2 {
            let value = |stream: &Stream| stream.root(document).unwrap().value().unwrap();
            assert_eq!(value(&stream), value(&whole));
        }
        let schema = stream.root(0).unwrap().at("/spec/versions/0/schema").unwrap();
        assert_eq!(schema.value().unwrap()["open"]["properties"], json!({"a": 1}));
        assert_eq!(stream.root(0).unwrap().at("/spec/versions/1/name").unwrap().as_str().unwrap(), "v2");
        assert_eq!(stream.comments(), whole.comments());
    }

    #[test]
    fn places_below_are_those_of_the_entry() {
        let (whole, stream) = (parsed(), forgetful());
        let locate = |stream: &Stream, pointer: &str| {
            stream.locate(0, Pointer::parse(pointer).unwrap()).map(|range| TEXT[range].to_owned())
        };
        assert_eq!(
            locate(&stream, "/spec/versions/0/schema/open/type"),
            locate(&whole, "/spec/versions/0/schema/open")
        );
        assert_eq!(locate(&stream, "/spec/versions/0/served"), locate(&whole, "/spec/versions/0/served"));
    }

    #[test]
    fn edits_reach_what_is_forgotten() {
        let (whole, stream) = (parsed(), forgetful());
        let mut wanted = whole.root(0).unwrap().value().unwrap();
        wanted["spec"]["versions"][0]["schema"]["open"]["type"] = json!("string");
        wanted["spec"]["versions"][1]["served"] = json!(false);
        let edits = |stream: &Stream| stream.edits(0, &wanted, &KubernetesOrder).unwrap();
        assert_eq!(edits(&stream), edits(&whole));
        stream.prove(stream.apply(edits(&stream)), &[Some(&wanted), None], 0).unwrap();
    }
}
