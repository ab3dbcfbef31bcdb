//! Answers, as the handlers give them and as they go out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION,
};
use http::{Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use strongroom_kes_api::body::{JSON, NDJSON, ToJson};
use strongroom_kes_api::{KesError, path};
use zeroize::Zeroizing;

use crate::stream::Lines;

const NOSNIFF: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-content-type-options"),
    HeaderValue::from_static("nosniff"),
);
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// What a handler answers.
#[derive(Debug)]
pub(crate) enum Reply {
    /// 200 without a body.
    Empty,
    /// 200 with JSON, perhaps secret.
    Json(Zeroizing<Vec<u8>>),
    /// 200 with something else that is not secret.
    Other {
        content_type: &'static str,
        body: Vec<u8>,
    },
    /// 200 with a stream of JSON lines.
    Lines(Lines),
}

pub(crate) type Answer = Response<AnswerBody>;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// All at once.
    Whole(Full<Bytes>),
    /// As it comes.
    Lines(Lines),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Lines(lines) => Pin::new(lines).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Lines(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Lines(_) => SizeHint::default(),
        }
    }
}

impl Reply {
    pub(crate) fn json(body: &impl ToJson) -> Self {
        Self::Json(body.to_json())
    }

    pub(crate) fn into_answer(self) -> Answer {
        match self {
            Self::Empty => Answer::new(AnswerBody::Whole(Full::default())),
            Self::Lines(lines) => {
                let mut answer = Answer::new(AnswerBody::Lines(lines));
                answer
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
                answer
            }
            // The body stays in a buffer that is wiped after it was sent.
            Self::Json(body) => answer(StatusCode::OK, JSON, Bytes::from_owner(body)),
            Self::Other { content_type, body } => answer(StatusCode::OK, content_type, body.into()),
        }
    }
}

fn answer(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Answer::new(AnswerBody::Whole(Full::new(body)));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

pub(crate) fn error(error: &KesError) -> Answer {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer(status, JSON, error.to_json().into())
}

/// 405. Upstream sends the expected method as `Accept`, the standard wants `Allow`.
pub(crate) fn wrong_method(received: &Method, expected: &'static str) -> Answer {
    let mut answer = error(&KesError::wrong_method(received.as_str(), expected));
    answer
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static(expected));
    let allowed = if expected == "PUT" {
        "PUT, POST"
    } else {
        expected
    };
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// The answer to HEAD: the headers, with the length of the body that is left out. (HTTP/2 clients take a body for a broken
/// stream.)
pub(crate) fn without_body(answer: Answer) -> Answer {
    let (mut parts, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(CONTENT_LENGTH, length.into());
    }
    Answer::from_parts(parts, AnswerBody::Whole(Full::default()))
}

pub(crate) fn not_found() -> Answer {
    let mut answer = answer(
        StatusCode::NOT_FOUND,
        PLAIN_TEXT,
        "404 page not found\n".into(),
    );
    answer.headers_mut().insert(NOSNIFF.0, NOSNIFF.1);
    answer
}

/// The path is no path at all.
pub(crate) fn bad_path() -> Answer {
    answer(
        StatusCode::BAD_REQUEST,
        PLAIN_TEXT,
        "400 Bad Request".into(),
    )
}

/// 301 to the decoded path, as Go's router answers.
pub(crate) fn redirect(method: &Method, decoded: &str, query: Option<&str>) -> Answer {
    let mut location = path::escaped(decoded);
    if let Some(query) = query {
        location.push('?');
        location.push_str(query);
    }
    let body = if method == Method::GET {
        format!(
            "<a href=\"{}\">Moved Permanently</a>.\n\n",
            location.replace('&', "&amp;").replace('"', "&#34;")
        )
    } else {
        String::new()
    };
    let Ok(value) = HeaderValue::from_str(&location) else {
        return bad_path();
    };
    let mut answer = answer(
        StatusCode::MOVED_PERMANENTLY,
        "text/html; charset=utf-8",
        body.into(),
    );
    answer.headers_mut().insert(LOCATION, value);
    answer
}
