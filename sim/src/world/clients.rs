//! Clients: one request under way each, over a link that never fails to hosts that may.

use super::run::World;
use super::{CLIENT_DELAY, Happening, Inbound};
use crate::subject::{Checks, Clients, Outcome, Subject, Turn};
use crate::time::TrueTime;
use crate::trace::EventKind;
use alloc::format;
use relaymesh_core::identity::RequestId;
use relaymesh_core::machine::CauseId;
use relaymesh_core::node::Application;

/// One client's place in the world.
#[derive(Debug)]
pub(super) struct ClientSeat<R> {
    /// Counts what the client was scheduled for: an earlier appointment is void.
    turn: u32,
    waiting: Option<(RequestId, u32, R)>,
    requests: u64,
}

impl<R> ClientSeat<R> {
    pub(super) const fn new() -> Self {
        Self { turn: 0, waiting: None, requests: 0 }
    }
}

impl<S: Subject> World<S> {
    /// A client may act, or has waited long enough.
    pub(super) fn client_turn(&mut self, client: u32, turn: u32) {
        let seat = &mut self.client_seats[client as usize];
        if seat.turn != turn {
            return;
        }
        if let Some((id, host, _)) = seat.waiting.take() {
            self.begin(EventKind::Client, None, CauseId(0));
            self.trace.bytes(&id.0.to_le_bytes());
            self.trace.note(|| format!("client {client} has waited too long for n{host} to answer request {id}"));
            self.clients.outcome(client, self.now, Outcome::TimedOut);
        }
        let offering = self.now < self.offering_until;
        match self.clients.turn(client, self.now, offering) {
            Turn::Ask { host, request, timeout } => self.ask(client, host, request, timeout),
            Turn::Kill { host, lasts } => {
                self.kill_host(host, lasts);
                self.schedule_turn(client, self.now);
            }
            Turn::Rest(until) => self.schedule_turn(client, until.max(self.now)),
            Turn::Done => {}
        }
    }

    fn ask(
        &mut self,
        client: u32,
        host: u32,
        request: <S::Application as Application>::Request,
        timeout: relaymesh_core::time::Duration,
    ) {
        let cause = self.begin(EventKind::Client, None, CauseId(0));
        let count = self.clients.count();
        let seat = &mut self.client_seats[client as usize];
        let id = RequestId(seat.requests * u64::from(count) + u64::from(client));
        seat.requests += 1;
        seat.waiting = Some((id, host, request.clone()));
        self.trace.bytes(&id.0.to_le_bytes());
        self.trace.note(|| format!("client {client} asks n{host}, request {id}"));
        self.checks.asked(client, host, &request, &mut self.found);
        let place = self.requests.put(request);
        let life = self.host(host).life;
        let inbound = Inbound::Request { id, place, cause };
        self.queue.schedule(self.now + CLIENT_DELAY, Happening::Arrives { host, life, inbound });
        self.schedule_turn(client, self.now + timeout);
    }

    /// Sends a client what became of its request.
    pub(super) fn answer(
        &mut self,
        id: RequestId,
        outcome: Outcome<<S::Application as Application>::Reply>,
        cause: CauseId,
    ) {
        let client = (id.0 % u64::from(self.clients.count())) as u32;
        let place = self.answers.put((outcome, cause));
        self.queue.schedule(self.now + CLIENT_DELAY, Happening::Answer { client, request: id, place });
    }

    /// An answer reaches a client; one that it no longer waits for is ignored.
    pub(super) fn answer_arrives(&mut self, client: u32, request: RequestId, place: u32) {
        let (outcome, cause) = self.answers.take(place);
        let Some((_, host, asked)) = self.client_seats[client as usize].waiting.take_if(|(id, ..)| *id == request)
        else {
            return;
        };
        self.begin(EventKind::Client, None, cause);
        self.trace.bytes(&request.0.to_le_bytes());
        self.trace.note(|| format!("client {client} learns of request {request} to n{host}: {outcome:?}"));
        if let Outcome::Reply(reply) = &outcome {
            self.answered_after_healing += u64::from(self.now >= self.timetable.heal);
            self.checks.answered(client, host, &asked, reply, &mut self.found);
        }
        self.clients.outcome(client, self.now, outcome);
        self.schedule_turn(client, self.now);
    }

    /// The client's next appointment, which voids the one before.
    pub(super) fn schedule_turn(&mut self, client: u32, at: TrueTime) {
        let seat = &mut self.client_seats[client as usize];
        seat.turn += 1;
        let turn = seat.turn;
        self.queue.schedule(at, Happening::ClientTurn { client, turn });
    }
}
