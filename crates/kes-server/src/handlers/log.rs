//! Log streams.

use strongroom_kes_api::{Identity, KesError};

use crate::reply::Reply;
use crate::stream::LineStream;

/// Not 503: clients try that again at once, and take a 5xx for a broken server.
const TOO_MANY_READERS: &str = "too many clients read this log";

/// The headers go out at once, the lines as they come, for as long as the client listens.
pub(crate) fn stream(stream: &LineStream, of: Option<Identity>) -> Result<Reply, KesError> {
    let lines = stream.subscribe(of);
    lines
        .map(Reply::Lines)
        .ok_or_else(|| KesError::new(429, TOO_MANY_READERS))
}
