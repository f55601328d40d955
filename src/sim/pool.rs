//! Jobs on many threads, and their results in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Does `work` for each of `jobs` on that many threads and hands each result to `take`, in the order of the jobs, however
/// the threads finish. Once `is_over`, no further one begins.
///
/// Returns how many were done: all, or those that had begun, which are the first ones.
pub(crate) fn each<J: Sync, T: Send>(
    jobs: &[J],
    threads: usize,
    is_over: impl Fn() -> bool + Sync,
    work: impl Fn(&J) -> T + Sync,
    mut take: impl FnMut(&J, T),
) -> usize {
    let next = AtomicUsize::new(0);
    let (results, arriving) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.min(jobs.len()) {
            let (results, next, is_over, work) = (results.clone(), &next, &is_over, &work);
            scope.spawn(move || {
                while !is_over() {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(place) else { break };
                    if results.send((place, work(job))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        let mut waiting = BTreeMap::new();
        let mut taken = 0;
        for (place, done) in arriving {
            waiting.insert(place, done);
            while let Some(done) = waiting.remove(&taken) {
                take(&jobs[taken], done);
                taken += 1;
            }
        }
        taken
    })
}

#[cfg(test)]
mod tests {
    use super::each;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_the_order_of_the_jobs() {
        let jobs: Vec<u32> = (0..100).collect();
        let mut results = Vec::new();
        let done = each(&jobs, 4, || false, |job| job * 2, |job, result| results.push((*job, result)));
        assert_eq!(done, 100);
        assert!(results.iter().zip(0..).all(|(result, job)| *result == (job, job * 2)), "{results:?}");
    }

    #[test]
    fn once_it_is_over_no_job_begins() {
        let begun = AtomicUsize::new(0);
        let work = |_: &u32| begun.fetch_add(1, Ordering::Relaxed);
        let done = each(&[0; 100], 2, || begun.load(Ordering::Relaxed) >= 10, work, |_, _| {});
        assert!((10..=11).contains(&done), "{done}");
    }
}
