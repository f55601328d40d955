//! What must never happen, as somebody sees it who knows the true time.

use crate::control::state::Scope;
use crate::epoch::FenceToken;
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// Who began and ceased to act for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenancy {
    pub(super) at: Time,
    pub(super) host: usize,
    pub(super) scope: Scope,
    pub(super) token: FenceToken,
    pub(super) began: bool,
}

#[derive(Default)]
pub(super) struct Watch {
    pub(super) tenancies: Vec<Tenancy>,
    /// The newest token that somebody acted under, and who.
    newest: BTreeMap<Scope, (FenceToken, usize)>,
    /// The newest token that somebody was given.
    given: BTreeMap<Scope, FenceToken>,
    pub(super) acted: u64,
    /// Epochs that were said to be known everywhere.
    pub(super) epochs: u64,
}

impl Watch {
    /// LEASE-2: each token that anybody is given is newer than all before it.
    pub(super) fn began(&mut self, at: Time, host: usize, scope: Scope, token: FenceToken) {
        let before = self.given.insert(scope, token);
        assert!(before < Some(token), "LEASE-2: {token} of {scope} after {before:?}");
        self.tenancies.push(Tenancy { at, host, scope, token, began: true });
    }

    pub(super) fn ceased(&mut self, at: Time, host: usize, scope: Scope, token: FenceToken) {
        self.tenancies.push(Tenancy { at, host, scope, token, began: false });
    }

    /// A holder does something: nobody has done anything under a newer token, nor anybody else under the same.
    pub(super) fn acts(&mut self, host: usize, scope: Scope, token: FenceToken) {
        self.acted += 1;
        let (newest, by) = self.newest.insert(scope, (token, host)).unwrap_or((token, host));
        let is_next = newest < token || (newest == token && by == host);
        assert!(is_next, "LEASE-1: {host} acts for {scope} under {token} after {by} under {newest}");
    }

    pub(super) fn grants(&self, scope: Scope) -> usize {
        self.tenancies.iter().filter(|tenancy| tenancy.began && tenancy.scope == scope).count()
    }
}

mod fires {
    use super::*;
    use crate::epoch::ClusterEpoch;

    fn token(index: u64) -> FenceToken {
        FenceToken::new(ClusterEpoch(1), index)
    }

    #[test]
    #[should_panic(expected = "LEASE-2")]
    fn when_a_token_is_given_twice() {
        let mut watch = Watch::default();
        watch.began(Time::ZERO, 0, Scope::Global, token(5));
        watch.began(Time::ZERO, 1, Scope::Global, token(5));
    }

    #[test]
    #[should_panic(expected = "LEASE-1")]
    fn when_an_old_holder_acts_after_a_new_one() {
        let mut watch = Watch::default();
        watch.acts(0, Scope::Global, token(5));
        watch.acts(1, Scope::Global, token(6));
        watch.acts(0, Scope::Global, token(5));
    }

    #[test]
    #[should_panic(expected = "LEASE-1")]
    fn when_two_act_under_one_token() {
        let mut watch = Watch::default();
        watch.acts(0, Scope::Global, token(5));
        watch.acts(1, Scope::Global, token(5));
    }
}
