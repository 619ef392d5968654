//! What GitHub says is not there, and is not believed at once: data goes with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::job::Job;

/// How often GitHub must deny it, one time after the other.
const ASKED: u32 = 4;
/// Between the first two times; longer by as much each time after.
const PAUSE: Duration = Duration::from_secs(2);
/// Longer ago than this, from when it was to be asked again, it was something else.
const LATELY: Duration = Duration::from_secs(60);

/// What this process was denied lately, by the job that asked.
#[derive(Debug, Clone, Default)]
pub struct Doubts(Arc<Mutex<HashMap<Job, Denied>>>);

#[derive(Debug, Clone, Copy)]
struct Denied {
    times: u32,
    /// When to ask again. What asks before that, as others may ask for the same job, learns nothing new.
    due: Instant,
}

impl Doubts {
    /// Counts that it was denied, and says after how long to ask again; none where it is to be believed.
    pub(super) fn deny(&self, job: &Job, now: Instant) -> Option<Duration> {
        let mut lately = self.lock();
        lately.retain(|_, denied| now.saturating_duration_since(denied.due) < LATELY);
        let before = lately.get(job).copied();
        if let Some(denied) = before
            && now < denied.due
        {
            return Some(denied.due - now);
        }
        let times = 1 + before.map_or(0, |denied| denied.times);
        if times >= ASKED {
            lately.remove(job);
            return None;
        }
        let pause = PAUSE * times;
        lately.insert(job.clone(), Denied { times, due: now + pause });
        Some(pause)
    }

    /// GitHub answered something else.
    pub(super) fn end(&self, job: &Job) {
        self.lock().remove(job);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Job, Denied>> {
        // No code panics while it holds the lock, and a map is whole after each of its steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_denials_in_a_row_are_believed() {
        let (doubts, job, other) = (Doubts::default(), Job::SyncRepository(1), Job::SyncRepository(2));
        let begin = Instant::now();
        let deny = |job: &Job, second: u64| {
            doubts.deny(job, begin + Duration::from_secs(second)).map(|pause| pause.as_secs())
        };
        assert_eq!([deny(&job, 0), deny(&job, 2), deny(&job, 6)], [Some(2), Some(4), Some(6)]);
        assert_eq!(deny(&other, 6), Some(2));
        doubts.end(&job);
        assert_eq!([deny(&job, 12), deny(&job, 14), deny(&job, 18)], [Some(2), Some(4), Some(6)]);
        assert_eq!([deny(&job, 18), deny(&job, 23)], [Some(6), Some(1)], "asked early, it is as it was");
        assert_eq!(deny(&job, 24), None);
        // Believed, it is over; and what was denied long ago does not count.
        assert_eq!([deny(&job, 30), deny(&job, 32), deny(&job, 36)], [Some(2), Some(4), Some(6)]);
        assert_eq!(deny(&job, 130), Some(2));
    }
}
