//! Some keys at a time.

use tokio::task::JoinSet;

use strongroom_kes_api::KeyName;

use super::{MigrateError, Stop};

/// Works on every name, at most `at_once` at a time, and hands each result to `take`; its first error ends everything.
/// Says whether all names were worked on: `stop` lets those end that have begun.
pub(super) async fn each<T, Fut>(
    names: &[KeyName],
    at_once: usize,
    stop: &Stop,
    work: impl Fn(KeyName) -> Fut,
    mut take: impl FnMut(T) -> Result<(), MigrateError>,
) -> Result<bool, MigrateError>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let mut waiting = names.iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < at_once && !stop.is_set() {
            let Some(name) = waiting.next() else { break };
            running.spawn(work(name.clone()));
        }
        match running.join_next().await {
            Some(Ok(result)) => take(result)?,
            Some(Err(source)) => return Err(MigrateError::Broken { source }),
            None => return Ok(waiting.len() == 0),
        }
    }
}
