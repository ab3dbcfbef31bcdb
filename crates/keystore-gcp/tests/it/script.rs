//! A server that answers as it is told: what no emulator does.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// One request: its line, `GET /v1/… HTTP/1.1` without the version.
pub(crate) type Requests = Arc<Mutex<Vec<String>>>;

/// Answers every request by `answer`, one a connection; gives its address and what it was asked.
pub(crate) async fn serve(
    answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
) -> (String, Requests) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(one(connection, Arc::clone(&answer), Arc::clone(&seen)));
        }
    });
    (endpoint, requests)
}

async fn one(
    mut connection: TcpStream,
    answer: Arc<impl Fn(&str) -> (u16, String)>,
    seen: Requests,
) {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !is_whole(&request) {
        match connection.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => request.extend_from_slice(&buffer[..read]),
        }
    }
    let text = String::from_utf8_lossy(&request);
    let line = text.lines().next().unwrap_or_default();
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    seen.lock().unwrap().push(line.clone());
    let (status, body) = answer(&line);
    let head = format!(
        "HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    let _ = connection.write_all(head.as_bytes()).await;
    let _ = connection.write_all(body.as_bytes()).await;
    let _ = connection.shutdown().await;
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|l| {
            l.to_ascii_lowercase()
                .strip_prefix("content-length:")
                .map(str::to_owned)
        })
        .and_then(|l| l.trim().parse::<usize>().ok());
    body.len() >= length.unwrap_or(0)
}

/// An error as Google's REST services send it (cloud.google.com/apis/design/errors).
pub(crate) fn error(code: u16, status: &str) -> (u16, String) {
    let body =
        format!(r#"{{"error":{{"code":{code},"message":"as scripted","status":"{status}"}}}}"#);
    (code, body)
}
