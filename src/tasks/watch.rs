//! `relaymesh workflow`: a task and how far its steps have come, once or until it has ended.

use super::arguments::operate::WatchArguments;
use super::client::Shards;
use super::show::{self, label, shortened, state, tone, word};
use crate::error::{Error, Exit};
use crate::output::{Output, Tone};
use relaymesh_core::task::answer::Status;
use relaymesh_core::task::view::{StepStatus, StepView, TaskView};
use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Cells of a bar.
const BAR: u32 = 20;
/// Bytes of a name that is shown whole.
const NAME: usize = 24;

pub(super) async fn workflow(arguments: &WatchArguments, output: &Output) -> Result<Exit, Error> {
    if !arguments.watch {
        return show::task(&arguments.task, output).await;
    }
    let (id, is_terminal) = (arguments.task.id, std::io::stdout().is_terminal());
    let (mut shown, mut rows) = (String::new(), 0);
    loop {
        let shards = Shards::of(&arguments.task.place).await?;
        let view = match show::whole(&shards, id).await {
            Ok((view, _)) => Some(view),
            // Its owner is being replaced: it is looked for again.
            Err(problem) if super::everywhere::is_of_shard(&problem) => None,
            Err(problem) => return Err(problem),
        };
        if let Some(view) = view {
            if output.is_json() {
                if view.status.has_ended() {
                    return show::wait(&shards, id, output).await;
                }
            } else {
                let text = picture(&view, output);
                if text != shown {
                    // Up to the first line, and everything below it cleared.
                    let back = if is_terminal && rows > 0 { format!("\u{1b}[{rows}A\u{1b}[J") } else { String::new() };
                    let fresh = if is_terminal { text.clone() } else { news(&shown, &text) };
                    output.print(&(back + &fresh))?;
                    rows = text.lines().count();
                    shown = text;
                }
            }
            if view.status.has_ended() {
                return Ok(if view.status == Status::Succeeded { Exit::Held } else { Exit::Failed });
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The lines that were not there before.
fn news(before: &str, now: &str) -> String {
    let fresh = now.lines().filter(|line| !before.lines().any(|it| it == *line));
    fresh.map(|line| format!("{line}\n")).collect()
}

/// A line for each step of the definition; instances are its bar.
fn picture(view: &TaskView, output: &Output) -> String {
    let name = view.name.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut text = format!("{} {name} {}\n", view.id, output.paint(tone(view.status), word(view.status)));
    for step in view.steps.iter().filter(|step| step.item.is_none()) {
        let instances: Vec<&StepView> =
            view.steps.iter().filter(|it| it.item.is_some() && it.name == step.name).collect();
        // Into a string nothing fails.
        let _ = writeln!(text, "  {:NAME$} {}", label(step), line(step, &instances, output));
    }
    text
}

fn line(step: &StepView, instances: &[&StepView], output: &Output) -> String {
    let retried = if step.attempts > 1 { format!(", attempt {}", step.attempts) } else { String::new() };
    match &step.state {
        StepStatus::Expanded { left, count } => {
            let done = count - left;
            let running = instances.iter().filter(|it| matches!(it.state, StepStatus::Running { .. })).count();
            let full = if *count == 0 { BAR } else { (u64::from(done) * u64::from(BAR) / u64::from(*count)) as u32 };
            let bar: String = (0..BAR).map(|at| if at < full { '█' } else { '░' }).collect();
            format!("{bar} {done} of {count}, {running} running")
        }
        StepStatus::Succeeded { .. } if !instances.is_empty() => {
            output.paint(Tone::Good, format!("succeeded, {} of {0}", instances.len()))
        }
        StepStatus::Succeeded { .. } => output.paint(Tone::Good, format!("succeeded{retried}")),
        StepStatus::Dead => {
            output.paint(Tone::Bad, format!("dead: {}", shortened(step.words.as_deref().unwrap_or_default())))
        }
        _ => format!("{}{retried}", state(step)),
    }
}

#[cfg(test)]
mod tests {
    use super::news;

    #[test]
    fn without_a_terminal_only_what_has_changed_is_printed() {
        assert_eq!(news("", "a\nb\n"), "a\nb\n");
        assert_eq!(news("a\nb\n", "a\nc\n"), "c\n");
    }
}
