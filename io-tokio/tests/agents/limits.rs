//! Runs that take more than they may.

use crate::stage::{Stage, failed, is_gone, job, pids, soon, succeeded};
use relaymesh_io_tokio::agents::{Event, Job, Why};
use std::time::Duration;

const WAITS: &str = "sleep 1000 & printf 'progress: 1 %s %s\n' $$ $! >&2; wait";

#[tokio::test]
async fn whoever_takes_too_long_is_killed_with_all_it_started() {
    // On a busy machine the agent may be late before it has said anything; then it is given more time.
    for timeout in [100, 400, 1_600, 6_400, 25_600].map(Duration::from_millis) {
        let stage = Stage::with(WAITS, &format!("timeout_ms = {}", timeout.as_millis()));
        let mut run = stage.begin("");
        let Some(Event::Progress(said)) = soon(run.next()).await else { continue };
        let (why, retry, _) = failed(soon(run.outcome()).await.unwrap());
        assert_eq!((why, retry), (Why::Timeout(timeout), true));
        assert!(pids(&said.text).into_iter().all(is_gone));
        return;
    }
    panic!("the agent never came to say anything");
}

#[tokio::test]
async fn the_shorter_of_two_limits_counts() {
    let short = Duration::from_millis(1);
    let stage = Stage::new(WAITS);
    let run = stage.runner.run(Job { timeout: Some(short), ..job("it", 1, "") }).unwrap();
    assert_eq!(failed(soon(run.outcome()).await.unwrap()).0, Why::Timeout(short));
    let run = stage.runner.run(Job { timeout: Some(short), ..job("sleep", 1, "60000") }).unwrap();
    assert_eq!(failed(soon(run.outcome()).await.unwrap()).0, Why::Timeout(short));
}

#[tokio::test]
async fn whoever_writes_too_much_is_killed_at_once() {
    let stage = Stage::with(
        "trap '' TERM; while :; do printf xxxxxxxxxxxxxxxx; done",
        "output_bytes_max = 100000\nkill_grace_ms = 300000",
    );
    let (why, retry, _) = failed(stage.outcome("").await);
    assert_eq!((why, retry), (Why::OutputTooLarge { limit: 100_000 }, true));
}

#[tokio::test]
async fn the_limit_itself_may_be_reached() {
    let stage = Stage::of("command = 'cat'\noutput_bytes_max = 5");
    assert_eq!(succeeded(stage.outcome("12345").await), "12345");
    assert_eq!(failed(stage.outcome("123456").await).0, Why::OutputTooLarge { limit: 5 });
}
