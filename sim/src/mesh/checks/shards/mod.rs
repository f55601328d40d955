//! Watches replicated logs: what replicas say on the wire, and what clients are told of the state above.
//!
//! | file | watches |
//! | --- | --- |
//! | `logs` | which entries are in the logs that are shown: PREF-1, TASK-1 |
//! | `shown` | one log's entries, as they were shown |
//! | `owners` | who acts as owner, and who has promised what: OWNR-1, FENC-1 |
//! | `agreed` | the log of the control group, entry by entry, for `granted` and `steps` |
//! | `granted` | who is granted a shard, and whether whoever had it has stopped: OWNR-2 |
//! | `steps` | how tables and plans become others: PLAC-1, PLAC-2, PLAC-3 |
//! | `stories` | what clients write, add and read: SHRD-1 |
//! | `placement` | where shards ought to be, and are in the end: PLAC-1 to PLAC-5 |
//! | `parked` | what is submitted under keys: PARK-1, PARK-2 |
//! | `blobs` | what clients read of blobs, and what disks have of them in the end: BLOB-1, BLOB-2 |
//! | `tasks` | what clients and agents are told of tasks: TASK-2, TASK-3, and TASK-1 as they see it |
//! | `expected` | what steps have to be given and to come to, for `tasks` |
//! | `attempts` | whose result is a step's: TASK-2 |
//! | `said` | what logs say of cancels and permits: TASK-3, TASK-4 |
//! | `limits` | what runs at once: TASK-4 |
//! | `schedules` | what was made of schedules in the end: TASK-5 |
//! | `times` | how long claims live, and how soon attempts follow: TASK-6, TASK-7 |
//! | `digests` | what replicas hold in the end: REPL-2 |
//!
//! True time, the wire and the clients are all that counts here, but at the end: REPL-2, BLOB-1, BLOB-2 and what keys came to
//! look into the nodes and their disks.

mod agreed;
mod attempts;
mod blobs;
mod digests;
mod expected;
mod granted;
mod limits;
mod logs;
mod owners;
mod parked;
mod placement;
mod said;
mod schedules;
mod shown;
mod steps;
mod stories;
mod tasks;
mod times;

use self::agreed::Agreed;
use self::blobs::Blobs;
use self::digests::Digests;
use self::granted::Granted;
use self::limits::Limits;
use self::logs::Logs;
use self::owners::Owners;
use self::parked::Keys;
use self::placement::Placements;
use self::said::Said;
use self::schedules::Schedules;
use self::stories::Stories;
use self::tasks::Tasks;
use self::times::Times;
use super::MeshChecks;
use crate::check::Findings;
use crate::mesh::clients::shards::NAMESPACE;
use crate::scenario::Scenario;
use relaymesh_core::control::node::Message as Controls;
use relaymesh_core::control::state::Name;
use relaymesh_core::mesh::{Message as Wire, Reply, Request};
use relaymesh_core::shards::ShardId;
use relaymesh_core::shards::host::{Message, Reply as Answer, Request as Question};

/// Watches the logs of one run.
#[derive(Debug)]
pub(super) struct Shards {
    pub(super) logs: Logs,
    pub(super) owners: Owners,
    agreed: Agreed,
    granted: Granted,
    pub(super) stories: Stories,
    pub(super) digests: Digests,
    pub(super) keys: Keys,
    pub(super) blobs: Blobs,
    pub(super) placements: Placements,
    pub(super) tasks: Tasks,
    pub(super) limits: Limits,
    said: Said,
    schedules: Schedules,
    pub(super) times: Times,
    /// Replicas that each ought to have.
    pub(super) copies: u8,
    /// How many there are.
    count: u32,
}

impl Shards {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            logs: Logs::new(scenario),
            owners: Owners::new(scenario.nodes),
            agreed: Agreed::new(scenario),
            granted: Granted::default(),
            stories: Stories::new(scenario.control.clocks_stray),
            digests: Digests::default(),
            keys: Keys::new(scenario.control.recovery.is_none()),
            blobs: Blobs::default(),
            placements: Placements::new(scenario),
            tasks: Tasks::new(scenario.control.recovery.is_none()),
            limits: Limits::new(scenario.tasks.limits),
            said: Said::default(),
            schedules: Schedules::new(scenario.tasks.schedules),
            times: Times::new(scenario),
            copies: scenario.shards.copies,
            count: scenario.shards.shards,
        }
    }

    /// The namespace that there is, if there is to be one.
    pub(super) fn namespace(&self) -> Option<Name> {
        Name::new(NAMESPACE).ok().filter(|_| self.count > 0)
    }

    /// All shards that there are to be.
    pub(super) fn all(&self) -> impl Iterator<Item = ShardId> + use<> {
        let shards = 0..self.count;
        self.namespace()
            .into_iter()
            .flat_map(move |namespace| shards.clone().map(move |number| ShardId { namespace, number }))
    }

    /// What stood in a store is gone, or not to be relied on.
    pub(super) fn store_lost(&mut self, host: u32) {
        self.logs.store_lost(host);
        self.blobs.store_lost(host);
        self.owners.store_lost(host);
        self.keys.store_lost(host);
    }
}

impl MeshChecks {
    /// A replica says something to another.
    pub(super) fn shards_sent(&mut self, host: u32, to: u32, said: &Wire, found: &mut Findings) {
        if let Wire::Control(Controls::Group(message)) = said {
            self.group_sent(message, found);
        }
        if let Wire::Shards(message) = said {
            self.shards.keys.said(host, to, message);
        }
        if let Wire::Shards(Message::Replica { shard, message, .. }) = said {
            self.owner_sent(host, *shard, message, found);
            self.log_shown(host, *shard, message, found);
        }
    }

    /// A client asks.
    pub(super) fn shards_asked(&mut self, (client, host): (u32, u32), request: &Request, found: &Findings) {
        self.tasks_asked((client, host), request, found);
        if let Request::Control(request) = request {
            self.shards.agreed.asked(request);
        }
        let Request::Shards(question) = request else { return };
        if self.record.is_kept && matches!(question, Question::HandOver { .. }) {
            self.record.hand_overs_of_shards.push(found.now);
        }
        self.shards.stories.asked(client, question);
        self.shards.keys.asked(question);
        self.shards.blobs.asked(question);
    }

    /// A client learns what became of it.
    pub(super) fn shards_answered(
        &mut self,
        (client, host): (u32, u32),
        request: &Request,
        reply: &Reply,
        found: &mut Findings,
    ) {
        self.tasks_answered((client, host), request, reply, found);
        let (Request::Shards(question), Reply::Shards(answer)) = (request, reply) else { return };
        self.operation_answered((client, host), answer, found);
        self.key_answered(host, question, answer, found);
        self.blob_answered((client, host), question, answer, found);
        self.placement_answered(host, question, answer, found);
        if let (Question::Submit { shard, command }, Answer::Done(_)) = (question, answer) {
            if self.record.is_kept {
                self.record.acknowledged.push(found.now);
            }
            self.told_done(host, *shard, &command.0, found);
        }
    }
}

#[cfg(test)]
mod tests;
