//! A server that gives answers in turn: for what moto cannot do, in the shape of Amazon's protocol documentation
//! ("AWS JSON 1.1": errors are a body with `__type` and `message`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use strongroom_keystore::config::Aws;
use strongroom_keystore_aws::AwsStore;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::moto::some_credentials;

const DATE: &str = "Sat, 21 Nov 2026 12:00:00 GMT";

#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) headers: String,
}

pub(crate) fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status,
        body: body.to_owned(),
        headers: String::new(),
    }
}

pub(crate) fn error(code: &str, message: &str) -> Answer {
    let body = format!(r#"{{"__type":"{code}","message":"{message}"}}"#);
    answer(
        if code.starts_with("Internal") {
            500
        } else {
            400
        },
        &body,
    )
}

pub(crate) fn dated(date: &str) -> Answer {
    let mut answer = answer(404, "");
    answer.headers = format!("Date: {date}\r\n");
    answer
}

/// What was seen of the store.
#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

pub(crate) struct Canned {
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Canned {
    /// The last answer is given for ever.
    pub(crate) async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Seen::default()));
        let answers = Arc::new(Mutex::new(VecDeque::from_iter(answers)));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                tokio::spawn(serve(socket, Arc::clone(&answers), Arc::clone(&shared)));
            }
        });
        Self { url, seen }
    }

    pub(crate) async fn store(&self) -> AwsStore {
        let config = Aws {
            endpoint: self.url.clone(),
            region: "us-east-1".to_owned(),
            kms_key: Some("alias/for-keys".to_owned()),
            credentials: Some(some_credentials()),
        };
        AwsStore::open(config).await.unwrap()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// Heads and bodies of all requests.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }
}

async fn serve(socket: TcpStream, answers: Arc<Mutex<VecDeque<Answer>>>, seen: Arc<Mutex<Seen>>) {
    let mut socket = BufReader::new(socket);
    while let Some(request) = read(&mut socket).await {
        seen.lock().unwrap().requests.push(request);
        let answer = {
            let mut answers = answers.lock().unwrap();
            let is_last = answers.len() == 1;
            if is_last {
                answers.front().cloned()
            } else {
                answers.pop_front()
            }
        };
        let Answer {
            status,
            body,
            mut headers,
        } = answer.unwrap();
        if headers.is_empty() {
            headers = format!("Date: {DATE}\r\n");
        }
        let text = format!(
            "HTTP/1.1 {status} X\r\n{headers}Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if socket.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(socket: &mut BufReader<TcpStream>) -> Option<String> {
    let mut head = String::new();
    let mut body_bytes = 0;
    loop {
        let start = head.len();
        if socket.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
        let line = head[start..].trim().to_ascii_lowercase();
        if let Some(bytes) = line.strip_prefix("content-length:") {
            body_bytes = bytes.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; body_bytes];
    socket.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8_lossy(&body))
}
