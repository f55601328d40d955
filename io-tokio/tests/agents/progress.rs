//! What a run says on its way.

use crate::stage::{Stage, soon, succeeded};
use relaymesh_io_tokio::agents::{Event, Outcome, Progress};

#[tokio::test]
async fn progress_comes_before_the_end_and_the_latest_is_among_it() {
    let stage = Stage::new(
        "for percent in 10 20 30 40; do printf 'progress: %s at %s\n' $percent $percent >&2; done
         printf 'just a line\n' >&2; printf result; sleep 1000 & wait",
    );
    let mut run = stage.begin("");
    let mut seen = Vec::new();
    while seen.last() != Some(&Progress { percent: 40, text: "at 40".into() }) {
        match soon(run.next()).await {
            Some(Event::Progress(progress)) => seen.push(progress),
            other => panic!("{other:?}"),
        }
    }
    assert!(seen.is_sorted_by_key(|progress| progress.percent), "{seen:?}");
    stage.kill(run).await;
}

#[tokio::test]
async fn the_end_is_told_once() {
    let stage = Stage::new("cat");
    let mut run = stage.begin("all");
    let Some(Event::Ended(outcome)) = soon(run.next()).await else { panic!("no end") };
    assert_eq!(succeeded(outcome), "all");
    assert_eq!(soon(run.next()).await, None);
    assert_eq!(soon(run.outcome()).await, None::<Outcome>);
}
