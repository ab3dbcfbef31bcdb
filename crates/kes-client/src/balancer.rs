//! Which endpoint to ask next. No clock of its own: the time is an argument.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a failed endpoint is left alone.
pub(crate) const REST: Duration = Duration::from_secs(30);

/// The health of each endpoint.
#[derive(Debug)]
pub(crate) struct Balancer {
    circuits: Vec<Mutex<Circuit>>,
    /// Endpoint 0 is on this machine and is asked first.
    prefers_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Circuit {
    Closed,
    /// Nobody asks before this time; then one request probes.
    Open {
        until: Instant,
    },
    /// One request is out to probe; nobody else asks.
    Probing,
}

/// Leave to ask one endpoint. Dropped without a verdict (the caller gave up), it says nothing about the endpoint.
#[derive(Debug)]
pub(crate) struct Turn<'b> {
    circuit: &'b Mutex<Circuit>,
    /// Where the circuit returns to when a probe is abandoned.
    abandoned: Option<Circuit>,
}

impl Balancer {
    pub(crate) fn new(endpoints: usize, prefers_first: bool) -> Self {
        Self {
            circuits: (0..endpoints)
                .map(|_| Mutex::new(Circuit::Closed))
                .collect(),
            prefers_first,
        }
    }

    /// The order in which a request asks, from a random start.
    pub(crate) fn order(&self, start: usize) -> impl Iterator<Item = usize> + use<> {
        let count = self.circuits.len();
        let prefers_first = self.prefers_first && count > 1;
        let rest = (0..count).map(move |i| (start % count.max(1) + i) % count.max(1));
        prefers_first
            .then_some(0)
            .into_iter()
            .chain(rest.filter(move |i| !(prefers_first && *i == 0)))
    }

    /// A turn on the endpoint, unless it is being left alone.
    pub(crate) fn turn(&self, endpoint: usize, now: Instant) -> Option<Turn<'_>> {
        let circuit = self.circuits.get(endpoint)?;
        let mut state = circuit.lock().unwrap_or_else(PoisonError::into_inner);
        match *state {
            Circuit::Closed => Some(Turn {
                circuit,
                abandoned: None,
            }),
            Circuit::Open { until } if now >= until => {
                let abandoned = Some(*state);
                *state = Circuit::Probing;
                Some(Turn { circuit, abandoned })
            }
            Circuit::Open { .. } | Circuit::Probing => None,
        }
    }

    /// A turn on the endpoint, left alone or not.
    pub(crate) fn turn_after_all(&self, endpoint: usize) -> Option<Turn<'_>> {
        self.circuits.get(endpoint).map(|circuit| Turn {
            circuit,
            abandoned: None,
        })
    }
}

impl Turn<'_> {
    /// The endpoint works.
    pub(crate) fn succeeded(self) {
        self.settle(Circuit::Closed);
    }

    /// The endpoint failed.
    pub(crate) fn failed(self, now: Instant) {
        self.settle(Circuit::Open { until: now + REST });
    }

    fn settle(mut self, verdict: Circuit) {
        self.abandoned = None;
        *self.circuit.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(before) = self.abandoned {
            *self.circuit.lock().unwrap_or_else(PoisonError::into_inner) = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_its_turn_once_and_a_local_one_comes_first() {
        let order = |balancer: &Balancer, start| balancer.order(start).collect::<Vec<_>>();
        let remote = Balancer::new(3, false);
        assert_eq!(order(&remote, 1), [1, 2, 0]);
        assert_eq!(order(&remote, usize::MAX), [0, 1, 2]);
        let local = Balancer::new(3, true);
        assert_eq!(order(&local, 2), [0, 2, 1]);
        assert_eq!(order(&local, 0), [0, 1, 2]);
        assert_eq!(order(&Balancer::new(1, true), 7), [0]);
    }

    #[test]
    fn a_failed_endpoint_rests_and_is_then_probed_by_one_request() {
        let balancer = Balancer::new(1, false);
        let start = Instant::now();
        balancer.turn(0, start).unwrap().failed(start);
        assert!(
            balancer
                .turn(0, start + REST - Duration::from_millis(1))
                .is_none()
        );

        let later = start + REST;
        let probe = balancer.turn(0, later).unwrap();
        assert!(balancer.turn(0, later).is_none(), "one probe at a time");
        probe.failed(later);
        assert!(
            balancer.turn(0, later + REST / 2).is_none(),
            "failure renews the rest"
        );

        balancer.turn(0, later + REST).unwrap().succeeded();
        assert!(balancer.turn(0, later + REST).is_some());
        assert!(
            balancer.turn(0, later + REST).is_some(),
            "open to all again"
        );
    }

    #[test]
    fn a_caller_that_gives_up_says_nothing_about_the_endpoint() {
        let balancer = Balancer::new(1, false);
        let now = Instant::now();
        drop(balancer.turn(0, now));
        assert!(balancer.turn(0, now).is_some());

        balancer.turn(0, now).unwrap().failed(now);
        drop(balancer.turn(0, now + REST).unwrap());
        assert!(
            balancer.turn(0, now + REST).is_some(),
            "an abandoned probe frees its place"
        );
    }

    #[test]
    fn when_all_rest_they_can_be_asked_after_all() {
        let balancer = Balancer::new(1, false);
        let now = Instant::now();
        balancer.turn(0, now).unwrap().failed(now);
        balancer.turn_after_all(0).unwrap().succeeded();
        assert!(balancer.turn(0, now).is_some());
    }
}
