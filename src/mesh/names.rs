//! Members by what people call them.

use crate::error::Error;
use relaymesh_core::control::group::Voter;
use relaymesh_core::identity::NodeId;
use relaymesh_core::membership::{Link, MemberView, Status};

/// Everyone that a running node knows.
pub(crate) struct Names(Vec<MemberView>);

impl Names {
    pub(crate) fn of(members: Vec<MemberView>) -> Self {
        Self(members)
    }

    /// What a node is called; its id where it has no name or is not known.
    pub(crate) fn name(&self, node: NodeId) -> String {
        let known = self.0.iter().find(|member| member.node == node);
        let name = known.and_then(|member| member.description.as_ref()).map(|it| it.name.to_string());
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| node.to_string())
    }

    /// The node that was asked, as somebody who votes.
    pub(crate) fn own(&self) -> Option<Voter> {
        self.0.iter().find(|member| member.link == Link::Own).and_then(as_voter)
    }

    /// The node of that name or id.
    pub(crate) fn node(&self, name: &str) -> Result<NodeId, Error> {
        self.find(name).map(|member| member.node)
    }

    /// It as somebody who votes.
    pub(crate) fn voter(&self, name: &str) -> Result<Voter, Error> {
        let unknown = || Error::UnknownNode { name: name.into(), suggestion: None };
        as_voter(self.find(name)?).ok_or_else(unknown)
    }

    /// Whoever is a member comes before whoever has left or died under the same name.
    fn find(&self, name: &str) -> Result<&MemberView, Error> {
        let is_called = |member: &&MemberView| member.node.to_string() == name || self.name(member.node) == name;
        let all: Vec<&MemberView> = self.0.iter().filter(is_called).collect();
        let present = |member: &&&MemberView| matches!(member.status, Status::Alive | Status::Suspect);
        let chosen: Vec<&MemberView> = match all.iter().filter(present).count() {
            0 => all,
            _ => all.iter().filter(present).copied().collect(),
        };
        match chosen[..] {
            [member] => Ok(member),
            [] => Err(Error::UnknownNode { name: name.into(), suggestion: self.closest(name) }),
            _ => Err(Error::AmbiguousNode { name: name.into(), count: chosen.len() }),
        }
    }

    fn closest(&self, name: &str) -> Option<String> {
        let distance = |other: &String| strsim::damerau_levenshtein(name, other);
        let names = self.0.iter().map(|member| self.name(member.node));
        names.filter(|other| distance(other) <= 1 + name.len() / 2).min_by_key(distance)
    }
}

fn as_voter(member: &MemberView) -> Option<Voter> {
    Some(Voter { node: member.node, store: member.description.as_ref()?.store })
}
