//! The built-in agents: they need no process, and so nothing can be left of them.

use super::catalog::TIMEOUT_MAX;
use super::job::{Outcome, Why};
use super::kill::Killed;
use serde::Deserialize;
use std::future::pending;
use std::time::Duration;

/// A built-in agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuiltIn {
    /// Gives back its input.
    Echo,
    /// Fails; for good, where the input is `{"dead": true}`.
    Fail,
    /// Gives back its input after so many milliseconds: a number, or `{"ms": number}`.
    Sleep,
}

#[derive(Deserialize)]
struct FailInput {
    dead: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SleepInput {
    Number(u64),
    Table { ms: u64 },
}

impl BuiltIn {
    /// The one of that name.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "echo" => Some(Self::Echo),
            "fail" => Some(Self::Fail),
            "sleep" => Some(Self::Sleep),
            _ => None,
        }
    }

    /// Runs it until it is done, killed, or late.
    pub(super) async fn run(self, input: Vec<u8>, time: Option<Duration>, mut kill: Killed) -> Outcome {
        tokio::select! {
            biased;
            _ = kill.ordered() => Outcome::failed(Why::Killed),
            outcome = self.work(input) => outcome,
            late = after(time) => Outcome::failed(Why::Timeout(late)),
        }
    }

    async fn work(self, input: Vec<u8>) -> Outcome {
        match self {
            Self::Echo => Outcome::Succeeded { output: input },
            Self::Fail => {
                let dead = serde_json::from_slice::<FailInput>(&input).is_ok_and(|input| input.dead);
                Outcome::Failed { retry: !dead, why: Why::OnPurpose, stderr: Vec::new() }
            }
            Self::Sleep => match span(&input) {
                Ok(span) => {
                    tokio::time::sleep(span).await;
                    Outcome::Succeeded { output: input }
                }
                Err(problem) => Outcome::Failed { retry: false, why: Why::BadInput(problem), stderr: Vec::new() },
            },
        }
    }
}

fn span(input: &[u8]) -> Result<Duration, &'static str> {
    let input = serde_json::from_slice(input).map_err(|_| "`sleep` takes milliseconds, or {\"ms\": milliseconds}")?;
    let (SleepInput::Number(ms) | SleepInput::Table { ms }) = input;
    let span = Duration::from_millis(ms);
    if span <= TIMEOUT_MAX { Ok(span) } else { Err("`sleep` sleeps for a day at most") }
}

async fn after(time: Option<Duration>) -> Duration {
    let Some(time) = time else { return pending().await };
    tokio::time::sleep(time).await;
    time
}

#[cfg(test)]
mod tests {
    use super::super::kill::Kill;
    use super::*;

    async fn run(agent: BuiltIn, input: &str, time: Option<Duration>) -> Outcome {
        let (_keep, kill) = Killed::channel();
        agent.run(input.into(), time, kill).await
    }

    fn failed(outcome: Outcome) -> (bool, Why) {
        let Outcome::Failed { retry, why, .. } = outcome else { panic!("{outcome:?}") };
        (retry, why)
    }

    #[tokio::test]
    async fn echo_gives_back_its_input() {
        assert_eq!(run(BuiltIn::Echo, "as it is", None).await, Outcome::Succeeded { output: "as it is".into() });
    }

    #[tokio::test]
    async fn fail_fails_and_for_good_only_when_told() {
        for (input, retry) in
            [("", true), ("anything", true), (r#"{"dead": false}"#, true), (r#"{"dead": true}"#, false)]
        {
            assert_eq!(failed(run(BuiltIn::Fail, input, None).await), (retry, Why::OnPurpose), "{input}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_takes_its_time_and_gives_back_its_input() {
        for input in ["1500", " 1500\n", r#"{"ms": 1500}"#] {
            let began = tokio::time::Instant::now();
            assert_eq!(run(BuiltIn::Sleep, input, None).await, Outcome::Succeeded { output: input.into() });
            assert_eq!(began.elapsed(), Duration::from_millis(1_500));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_says_what_it_does_not_understand() {
        for input in ["", "soon", "-1", "1.5", "{}", "86400001"] {
            let (retry, why) = failed(run(BuiltIn::Sleep, input, None).await);
            assert!(!retry && matches!(why, Why::BadInput(_)), "{input}: {why:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_ends_at_once_when_killed_and_in_time_when_late() {
        let (kill, killed) = Killed::channel();
        let began = tokio::time::Instant::now();
        let sleeping = tokio::spawn(BuiltIn::Sleep.run("60000".into(), None, killed));
        Killed::order(&kill, Kill::AtOnce);
        assert_eq!(failed(sleeping.await.unwrap()), (true, Why::Killed));
        assert_eq!(began.elapsed(), Duration::ZERO);

        let time = Duration::from_millis(20);
        assert_eq!(failed(run(BuiltIn::Sleep, "60000", Some(time)).await), (true, Why::Timeout(time)));
        assert_eq!(began.elapsed(), time);
    }
}
