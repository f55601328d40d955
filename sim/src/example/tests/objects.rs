//! The shelf, and the checkers of what it shows.

use super::super::OBJ_2;
use super::super::keepers::{data_of, object_of};
use super::super::shelf::{self, Shelf, WAITING_MAX};
use super::*;
use crate::check::OBJ_1;
use relaymesh_core::node::ObjectError;
use relaymesh_core::object::{OBJECT_BYTES_MAX, ObjectId};

/// A change of an object, and what its client was told, if anything.
fn keep(content: u64) -> shelf::Request {
    let object = object_of(1, 0);
    shelf::Request::Keep { object, data: data_of(object, content, 1_000), once_told: false }
}

const DISCARD: fn() -> shelf::Request = || shelf::Request::Discard { object: object_of(1, 0) };

impl Watch {
    fn shelf(&mut self, client: u32, request: shelf::Request, reply: Option<shelf::Reply>) -> &mut Self {
        let request = Request::Shelf(request);
        self.checks.asked(client, 0, &request, &mut self.found);
        self.answers(client, &request, reply)
    }

    fn answers(&mut self, client: u32, request: &Request, reply: Option<shelf::Reply>) -> &mut Self {
        if let Some(reply) = reply {
            self.checks.answered(client, 0, request, &Reply::Shelf(reply), &mut self.found);
        }
        self
    }

    fn kept(&mut self, content: u64) -> &mut Self {
        self.shelf(1, keep(content), Some(shelf::Reply::Kept))
    }

    fn shows(&mut self, reply: shelf::Reply) -> &mut Self {
        self.shelf(2, shelf::Request::Fetch { object: object_of(1, 0) }, Some(reply))
    }

    fn shows_content(&mut self, content: u64) -> &mut Self {
        self.shows(shelf::Reply::Object { data: data_of(object_of(1, 0), content, 1_000) })
    }

    fn lists(&mut self, after: Option<ObjectId>, objects: &[ObjectId]) -> &mut Self {
        let reply = shelf::Reply::Objects { objects: objects.to_vec(), is_last: true };
        self.shelf(3, shelf::Request::List { after }, Some(reply))
    }
}

const MISSING: shelf::Reply = shelf::Reply::Refused(shelf::Refusal::Missing);
const DAMAGED: shelf::Reply = shelf::Reply::Refused(shelf::Refusal::Damaged);

#[test]
fn what_a_crash_may_leave_of_objects_is_fine() {
    let mut watch = Watch::new();
    watch.shows(MISSING).kept(1).shows_content(1).shelf(1, keep(2), None);
    // Nobody was told of the second content: old, torn, or new.
    watch.shows_content(1).shows(DAMAGED).shows_content(2).shelf(1, keep(2), Some(shelf::Reply::Kept));
    watch.shows_content(2).lists(None, &[object_of(1, 0)]);
    watch.shelf(1, DISCARD(), Some(shelf::Reply::Discarded)).shows(MISSING).shows(DAMAGED).shows_content(2);
    watch.lists(None, &[]).kept(3).shows_content(3);
    assert_eq!(watch.verdict(), [""; 0]);
}

#[test]
fn obj_1_fires_when_what_was_kept_is_missing_damaged_or_older() {
    assert_eq!(Watch::new().kept(1).shows(MISSING).verdict(), [OBJ_1]);
    assert_eq!(Watch::new().kept(1).shows(DAMAGED).verdict(), [OBJ_1]);
    assert_eq!(Watch::new().kept(1).kept(2).shows_content(1).verdict(), [OBJ_1]);
}

#[test]
fn obj_1_fires_when_what_was_shown_is_gone() {
    let mut watch = Watch::new();
    watch.kept(1).shelf(1, keep(2), None).shows_content(2);
    assert_eq!(watch.verdict(), [""; 0]);
    assert_eq!(watch.shows_content(1).verdict(), [OBJ_1]);
    assert_eq!(Watch::new().shelf(1, keep(1), None).shows_content(1).shows(MISSING).verdict(), [OBJ_1]);
}

#[test]
fn what_was_asked_before_a_change_was_acknowledged_may_miss_it() {
    let mut watch = Watch::new();
    let fetch = Request::Shelf(shelf::Request::Fetch { object: object_of(1, 0) });
    watch.checks.asked(2, 0, &fetch, &mut watch.found);
    watch.kept(1).answers(2, &fetch, Some(MISSING));
    assert_eq!(watch.verdict(), [""; 0]);
}

#[test]
fn obj_2_fires_on_other_bytes() {
    assert_eq!(Watch::new().kept(1).shows_content(9).verdict(), [OBJ_2], "nobody has kept that");
    let mut data = data_of(object_of(1, 0), 1, 1_000);
    data.push(1);
    assert_eq!(Watch::new().kept(1).shows(shelf::Reply::Object { data }).verdict(), [OBJ_2]);
    assert_eq!(Watch::new().kept(1).shows(shelf::Reply::Object { data: vec![] }).verdict(), [OBJ_2]);
}

#[test]
fn obj_2_fires_on_a_list_that_lacks_something_makes_something_up_or_is_out_of_order() {
    let (one, other) = (object_of(1, 0), object_of(1, 1));
    let (low, high) = (one.min(other), one.max(other));
    let with_two = || {
        let mut watch = Watch::new();
        let keep_other = shelf::Request::Keep { object: other, data: data_of(other, 1, 1_000), once_told: true };
        watch.kept(1).shelf(1, keep_other, Some(shelf::Reply::Kept));
        watch
    };
    assert_eq!(with_two().lists(None, &[low, high]).lists(Some(low), &[high]).verdict(), [""; 0]);
    assert_eq!(with_two().lists(None, &[high]).verdict(), [OBJ_2]);
    assert_eq!(with_two().lists(Some(low), &[]).verdict(), [OBJ_2]);
    assert_eq!(with_two().lists(None, &[high, low]).verdict()[..1], [OBJ_2]);
    assert_eq!(with_two().lists(Some(low), &[low, high]).verdict(), [OBJ_2]);
    assert_eq!(Watch::new().lists(None, &[low]).verdict(), [OBJ_2]);
}

#[test]
fn lost_stores_and_lost_objects_are_excused_until_something_is_kept_again() {
    for is_store in [false, true] {
        let mut watch = Watch::new();
        watch.kept(1);
        match is_store {
            true => watch.checks.store_lost(0),
            false => watch.checks.objects_lost(0, &[object_of(1, 0)]),
        }
        watch.shows(MISSING).shows(DAMAGED).lists(None, &[]);
        assert_eq!(watch.verdict(), [""; 0]);
        assert_eq!(watch.kept(2).shows(MISSING).verdict(), [OBJ_1]);
    }
}

// --- the machine --------------------------------------------------------------------------------------------------

fn on_shelf(shelf: &mut Shelf, event: shelf::Event) -> Vec<String> {
    tell(shelf, Time::ZERO, 1, event).iter().map(|action| format!("{action:?}")).collect()
}

fn asks(shelf: &mut Shelf, id: u64, request: shelf::Request) -> Vec<String> {
    on_shelf(shelf, shelf::Event::Request(RequestId(id), request))
}

#[test]
fn a_keep_is_answered_at_once_or_when_the_node_has_said_that_it_is_durable() {
    let mut shelf = Shelf::default();
    let object = object_of(1, 0);
    let keep = |once_told| shelf::Request::Keep { object, data: vec![1], once_told };
    assert_eq!(asks(&mut shelf, 1, keep(false)).len(), 2);
    assert_eq!(asks(&mut shelf, 2, keep(true)).len(), 1);
    assert_eq!(on_shelf(&mut shelf, shelf::Event::Kept(object)).len(), 0, "the first was answered");
    assert_eq!(on_shelf(&mut shelf, shelf::Event::Kept(object)).len(), 1);
    assert_eq!(shelf, Shelf::default());
}

#[test]
fn answers_find_those_who_asked_and_too_many_are_refused() {
    let mut shelf = Shelf::default();
    let (one, other) = (object_of(1, 0), object_of(1, 1));
    asks(&mut shelf, 1, shelf::Request::Fetch { object: one });
    for id in 2..=WAITING_MAX as u64 {
        asks(&mut shelf, id, shelf::Request::Fetch { object: other });
    }
    let refused = asks(&mut shelf, 99, shelf::Request::Fetch { object: one });
    assert_eq!(refused, [r#"Reply(RequestId(99), Refused(Busy))"#]);
    let answered = on_shelf(&mut shelf, shelf::Event::Fetched(other, Err(ObjectError::Missing)));
    assert_eq!(answered, [r#"Reply(RequestId(2), Refused(Missing))"#]);
    let answered = on_shelf(&mut shelf, shelf::Event::Fetched(one, Err(ObjectError::Damaged)));
    assert_eq!(answered, [r#"Reply(RequestId(1), Refused(Damaged))"#]);
    asks(&mut shelf, 50, shelf::Request::List { after: Some(one) });
    let answered = on_shelf(&mut shelf, shelf::Event::Listed(Some(one), vec![other], true));
    assert!(answered[0].starts_with("Reply(RequestId(50), Objects"), "{answered:?}");
    let data = vec![0; OBJECT_BYTES_MAX + 1];
    let refused = asks(&mut shelf, 9, shelf::Request::Keep { object: one, data, once_told: true });
    assert_eq!(refused, [r#"Reply(RequestId(9), Refused(Size))"#]);
}
