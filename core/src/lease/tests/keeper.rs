use super::*;
use crate::control::state::LeaderCommand;
use crate::lease::keeper::{Action, Event, Keeper};
use crate::lease::{Message, Renew};

fn owner() -> Incarnation {
    life(1, 1)
}

/// A keeper whose node has led term 3 since 0 ms, and knows one session.
fn leading() -> Keeper {
    let mut keeper = Keeper::new(settings());
    handle(&mut keeper, at(0), Event::Changed(epoch(1)));
    handle(&mut keeper, at(0), Event::Changed(opened(5, owner())));
    handle(&mut keeper, at(0), Event::Led { term: 3 });
    handle(&mut keeper, at(0), Event::Ready { term: 3 });
    keeper
}

fn renewal(number: u64) -> Event {
    Event::Renewal { from: owner(), renew: Renew { session: session(5), number, epoch: ClusterEpoch(1) } }
}

fn round(round: u64) -> Action {
    Action::BeginRound { term: 3, round }
}

fn confirmed(round: u64) -> Event {
    Event::Confirmed { term: 3, round }
}

fn acknowledged(number: u64) -> Action {
    Action::Send { to: owner().node, message: Message::Renewed { session: session(5), number } }
}

fn end(term: u64) -> Action {
    Action::Propose { term, command: LeaderCommand::End { session: session(5) } }
}

/// What it proposes and says, without what it observes.
fn acts(keeper: &mut Keeper, now: Time, event: Event) -> Vec<Action> {
    let is_act = |action: &Action| !matches!(action, Action::Observe(_) | Action::EpochKnown { .. });
    handle(keeper, now, event).into_iter().filter(is_act).collect()
}

#[test]
fn a_renewal_is_acknowledged_once_a_round_that_began_after_it_is_confirmed() {
    let mut keeper = leading();
    assert_eq!(acts(&mut keeper, at(10), renewal(1)), [round(1)]);
    assert_eq!(acts(&mut keeper, at(11), renewal(2)), [], "the round has begun before");
    assert_eq!(acts(&mut keeper, at(12), confirmed(1)), [acknowledged(1), round(2)], "rule R2");
    assert_eq!(acts(&mut keeper, at(13), confirmed(2)), [acknowledged(2)]);
    assert_eq!(acts(&mut keeper, at(14), confirmed(2)), [], "once");
}

#[test]
fn one_round_serves_all_who_came_before_it() {
    let mut keeper = leading();
    for index in 6..9 {
        handle(&mut keeper, at(0), Event::Changed(opened(index, life(index as u8, 1))));
    }
    acts(&mut keeper, at(10), renewal(1));
    for index in 6..9 {
        let renew = Renew { session: session(index), number: 1, epoch: ClusterEpoch(1) };
        assert_eq!(acts(&mut keeper, at(11), Event::Renewal { from: life(index as u8, 1), renew }), []);
    }
    assert_eq!(acts(&mut keeper, at(12), confirmed(1)).len(), 2, "one answer, one more round");
    assert_eq!(acts(&mut keeper, at(13), confirmed(2)).len(), 3);
}

#[test]
fn who_renews_faster_than_rounds_take_is_answered_all_the_same() {
    let mut keeper = leading();
    acts(&mut keeper, at(10), renewal(1));
    let answered = (2..10).any(|number| {
        acts(&mut keeper, at(10 + number), renewal(number));
        acts(&mut keeper, at(10 + number), confirmed(number - 1))
            .iter()
            .any(|action| matches!(action, Action::Send { .. }))
    });
    assert!(answered);
}

#[test]
fn a_round_that_gets_lost_is_begun_again_and_serves_all() {
    let mut keeper = leading();
    acts(&mut keeper, at(10), renewal(1));
    acts(&mut keeper, at(20), renewal(2));
    assert_eq!(keeper.next_deadline(), Some(at(85)));
    assert_eq!(acts(&mut keeper, at(85), Event::Wake), [round(2)]);
    assert_eq!(acts(&mut keeper, at(90), confirmed(2)), [acknowledged(2)]);
}

#[test]
fn before_it_has_applied_an_entry_of_its_term_it_neither_acknowledges_nor_proposes() {
    let mut keeper = leading();
    handle(&mut keeper, at(0), Event::Led { term: 4 });
    assert_eq!(acts(&mut keeper, at(10), renewal(1)), [], "rule R1");
    assert_eq!(acts(&mut keeper, at(1_310), Event::Wake), []);
    let ready = acts(&mut keeper, at(1_320), Event::Ready { term: 4 });
    assert_eq!(ready, [Action::BeginRound { term: 4, round: 1 }], "who waits is not forgotten");
    assert_eq!(acts(&mut keeper, at(1_330), confirmed(1)), [], "of another term");
}

#[test]
fn a_session_ends_its_whole_span_after_it_was_heard_and_not_before() {
    let mut keeper = leading();
    acts(&mut keeper, at(200), renewal(1));
    acts(&mut keeper, at(201), confirmed(1));
    assert_eq!(keeper.next_deadline(), Some(at(1_500)), "rules T3 and T4");
    assert_eq!(acts(&mut keeper, at(1_499), Event::Wake), []);
    assert_eq!(acts(&mut keeper, at(1_500), Event::Wake), [end(3)]);
    assert_eq!(acts(&mut keeper, at(1_575), Event::Wake), [end(3)], "until it is committed");
    handle(&mut keeper, at(1_580), Event::Changed(ended(5, owner())));
    assert_eq!(keeper.next_deadline(), None);
}

#[test]
fn a_session_whose_end_was_proposed_is_acknowledged_no_more_in_that_term() {
    let mut keeper = leading();
    acts(&mut keeper, at(1_299), renewal(1));
    let mut late = keeper.clone();
    acts(&mut late, at(2_599), Event::Wake);
    assert_eq!(acts(&mut late, at(2_600), confirmed(1)), [], "rule R3, also for one that waited");
    assert_eq!(acts(&mut late, at(2_600), renewal(2)), []);
    acts(&mut late, at(2_601), Event::Deposed { leader: None });
    handle(&mut late, at(2_610), Event::Led { term: 5 });
    handle(&mut late, at(2_611), Event::Ready { term: 5 });
    let begun = acts(&mut late, at(2_612), renewal(3));
    let [Action::BeginRound { term, round }] = begun[..] else { panic!("{begun:?}") };
    let again = acts(&mut late, at(2_613), Event::Confirmed { term, round });
    assert_eq!(again, [acknowledged(3)], "in the next one it is known whether that end was committed");
}

#[test]
fn a_new_leader_gives_everybody_the_whole_span() {
    let mut keeper = leading();
    handle(&mut keeper, at(1_000), Event::Deposed { leader: None });
    assert_eq!(keeper.next_deadline(), None, "who follows measures nothing");
    handle(&mut keeper, at(9_000), Event::Led { term: 5 });
    assert_eq!(keeper.next_deadline(), Some(at(10_300)), "rule T5");
}

#[test]
fn a_leader_that_was_stopped_hears_what_waited_before_it_ends_anything() {
    let mut keeper = leading();
    assert_eq!(acts(&mut keeper, at(3_000), Event::Wake), [], "rule T6");
    acts(&mut keeper, at(3_001), renewal(1));
    assert_eq!(acts(&mut keeper, at(3_300), Event::Wake).iter().filter(|act| **act == end(3)).count(), 0);
    // Always late, it ends them all the same.
    let mut keeper = leading();
    let ends = (1..9).filter(|n| acts(&mut keeper, at(3_000 * n), Event::Wake).contains(&end(3))).count();
    assert!(ends > 0);
}

#[test]
fn who_follows_says_who_leads() {
    let mut keeper = leading();
    let leader = Some(life(2, 1).node);
    handle(&mut keeper, at(1), Event::Deposed { leader });
    let said = Action::Send { to: owner().node, message: Message::NotLeader { hint: leader } };
    assert_eq!(acts(&mut keeper, at(2), renewal(1)), [said]);
}

#[test]
fn a_renewal_of_anothers_session_changes_nothing() {
    let mut keeper = leading();
    let renew = Renew { session: session(5), number: 1, epoch: ClusterEpoch(1) };
    let before = keeper.clone();
    assert_eq!(acts(&mut keeper, at(700), Event::Renewal { from: life(1, 2), renew }), []);
    assert_eq!(keeper, before);
    let unknown = Renew { session: session(6), ..renew };
    assert_eq!(acts(&mut keeper, at(700), Event::Renewal { from: life(1, 2), renew: unknown }), []);
    assert_eq!(keeper, before);
}

#[test]
fn a_bump_is_known_when_older_sessions_have_acknowledged_it_or_ended() {
    let mut keeper = leading();
    handle(&mut keeper, at(1), Event::Changed(opened(6, life(2, 1))));
    let known = |actions: Vec<Action>| actions.contains(&Action::EpochKnown { epoch: ClusterEpoch(2) });
    assert!(!known(handle(&mut keeper, at(2), Event::Changed(epoch(2)))));
    let newer = Change::Opened {
        session: SessionId(token(2, 9)),
        owner: life(3, 1),
        ttl: settings().ttl,
        epsilon: settings().epsilon,
    };
    assert!(!known(handle(&mut keeper, at(3), Event::Changed(newer))));
    assert!(!known(handle(&mut keeper, at(4), renewal(1))), "it still says the old one");
    let renew = Renew { session: session(5), number: 2, epoch: ClusterEpoch(2) };
    assert!(!known(handle(&mut keeper, at(5), Event::Renewal { from: owner(), renew })));
    assert!(known(handle(&mut keeper, at(6), Event::Changed(ended(6, life(2, 1))))), "rule C2");
    assert!(!known(handle(&mut keeper, at(7), Event::Wake)), "said once");
    handle(&mut keeper, at(8), Event::Led { term: 9 });
    assert!(!keeper.is_epoch_known(), "a new leader asks again");
}

#[test]
fn a_quarantine_lasts_its_whole_span_under_each_leader() {
    let mut keeper = leading();
    let lineage = Lineage { epoch: ClusterEpoch(4), recovery: RecoveryId(2) };
    let span = settings().span_max;
    let changes = [Change::Epoch { lineage }, Change::Quarantined { lineage, span }];
    handle(&mut keeper, at(0), Event::Deposed { leader: None });
    handle(&mut keeper, at(0), Event::Restated(changes.into()));
    handle(&mut keeper, at(4_000), Event::Led { term: 9 });
    let ready = handle(&mut keeper, at(4_001), Event::Ready { term: 9 });
    assert_eq!(ready, [], "nor is the epoch known: whoever held something before is in no list");
    assert_eq!(acts(&mut keeper, at(8_999), Event::Wake), [], "rule C4");
    let lift = Action::Propose { term: 9, command: LeaderCommand::Lift { epoch: ClusterEpoch(4) } };
    assert_eq!(acts(&mut keeper, at(9_000), Event::Wake), [lift]);
    let lifted = handle(&mut keeper, at(9_001), Event::Changed(Change::Lifted));
    assert_eq!(lifted, [Action::EpochKnown { epoch: ClusterEpoch(4) }]);
    assert_eq!(keeper.next_deadline(), None);
}

#[test]
fn a_thousand_sessions_that_expire_at_once_are_ended_in_steps() {
    let mut keeper = leading();
    for index in 6..1_006 {
        handle(
            &mut keeper,
            at(0),
            Event::Changed(opened(index, Incarnation { boot: crate::identity::BootIncarnation(index), ..owner() })),
        );
    }
    assert_eq!(acts(&mut keeper, at(1_300), Event::Wake).len(), 64);
    assert_eq!(keeper.next_deadline(), Some(at(1_300)), "woken again for the rest");
}
