//! The server about itself.

use std::time::Duration;

use http::header::ACCEPT;
use strongroom_kes_api::KesError;
use strongroom_kes_api::body::{ApiRoute, ApiRoutes, StatusResponse, VersionResponse};
use strongroom_keystore::StoreError;

use crate::log::Level;
use crate::metrics::Format;
use crate::reply::Reply;
use crate::routes::ROUTES;
use crate::serve::Call;

pub(crate) fn version(call: &Call<'_>) -> Reply {
    let build = &call.server.surroundings.build;
    let (version, commit) = (build.version.clone(), build.commit.clone());
    Reply::json(&VersionResponse { version, commit })
}

/// Asks the store once, and says how long it took.
async fn check(call: &Call<'_>) -> Result<Duration, StoreError> {
    if call.state.cache.is_offline() {
        return Err(StoreError::Unreachable {
            reason: "the regular check failed".to_owned(),
            source: None,
        });
    }
    let started = call.elapsed();
    call.state.store.status().await?;
    Ok(call.elapsed().saturating_sub(started))
}

pub(crate) async fn ready(call: &Call<'_>) -> Result<Reply, KesError> {
    let Err(error) = check(call).await else {
        return Ok(Reply::Empty);
    };
    call.log(Level::WARN, format!("not ready: {}", error.in_full()));
    match error {
        StoreError::Unreachable { .. } => Err(KesError::STORE_UNREACHABLE),
        _ => Err(KesError::STORE_UNAVAILABLE),
    }
}

pub(crate) async fn status(call: &Call<'_>) -> Reply {
    let surroundings = &call.server.surroundings;
    let machine = &surroundings.machine;
    let sample = machine.sample();
    let mut status = StatusResponse {
        version: surroundings.build.version.clone(),
        os: machine.os().to_owned(),
        arch: machine.arch().to_owned(),
        uptime_s: call.elapsed().saturating_sub(call.server.started).as_secs(),
        num_cpu: sample.num_cpu,
        num_cpu_used: sample.num_cpu_used,
        mem_heap_used: sample.mem_heap_used,
        mem_stack_used: sample.mem_stack_used,
        ..StatusResponse::default()
    };
    match check(call).await {
        // Zero would be left out, which clients read as "unknown".
        Ok(latency) => {
            status.keystore_latency_ns =
                u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).max(1);
        }
        Err(error) => {
            call.log(
                Level::WARN,
                format!("key store status: {}", error.in_full()),
            );
            let is_unreachable = matches!(error, StoreError::Unreachable { .. });
            status = status.with_keystore_down(is_unreachable);
        }
    }
    Reply::json(&status)
}

pub(crate) fn metrics(call: &Call<'_>) -> Reply {
    let uptime = call.elapsed().saturating_sub(call.server.started);
    let sample = call.server.surroundings.machine.sample();
    let disk = call.state.disk.as_ref().map(|disk| disk.sample());
    let families = call.server.metrics.families(uptime, &sample, disk);
    let accept = call.headers.get_all(ACCEPT).iter();
    let format = Format::accepted(accept.filter_map(|value| value.to_str().ok()));
    Reply::Other {
        content_type: format.content_type(),
        body: format.write(&families),
    }
}

pub(crate) fn api(call: &Call<'_>) -> Reply {
    let settings = &call.state.config.api;
    let routes = ROUTES
        .iter()
        .map(|route| ApiRoute {
            method: route.method.to_owned(),
            path: route.path.to_owned(),
            max_body: route.body_max as u64,
            timeout_s: settings
                .get(route.path)
                .and_then(|s| s.timeout)
                .unwrap_or(route.timeout)
                .as_secs(),
        })
        .collect();
    Reply::json(&ApiRoutes { routes })
}
