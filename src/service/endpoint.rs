//! The thread that serves metrics and status over HTTP, beside the replica's loop. The loop never
//! waits for it. A request asks the loop for fresh figures, and the loop publishes them between two
//! turns. The request waits a short time and then gets the newest figures that there are.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::negotiation::{takes_gzip, wanted_format};
use super::waiting::Bell;
use crate::metrics::{MetricsHandle, ProcessGauges};

/// The most bytes of a request's line and headers.
const MOST_REQUEST_BYTES: usize = 8_192;
/// The most headers of a request.
const MOST_HEADERS: usize = 32;
/// How long a connection may take to send its request's line and headers.
const HEAD_PATIENCE: Duration = Duration::from_secs(1);
/// How long a connection may take in all, to the last byte of the answer.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// The most connections at a time. To make room, the oldest connection that has sent no request yet
/// is dropped. So clients that only connect never keep out those that ask.
const MOST_CONNECTIONS: usize = 64;
/// How long a scrape waits for fresh gauges.
const PUBLISH_PATIENCE: Duration = Duration::from_millis(200);

/// What the loop and the endpoint share.
pub(super) struct PublishSignal {
    /// Whether a request needs fresh figures.
    is_wanted: AtomicBool,
    /// Wakes the loop.
    bell: Bell,
    /// The state as JSON, as it was last published.
    status: watch::Sender<Arc<str>>,
}

impl PublishSignal {
    /// Starts with nothing published. `bell` wakes the loop.
    pub fn new(bell: Bell) -> Arc<PublishSignal> {
        let status = watch::Sender::new(Arc::from("{}"));
        Arc::new(PublishSignal { is_wanted: AtomicBool::new(false), bell, status })
    }

    /// Whether a request has needed fresh figures since this was last called.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.swap(false, Ordering::Acquire)
    }

    /// Publishes `status`. The gauges must be set to the same state before.
    pub fn publish(&self, status: String) {
        self.status.send_replace(status.into());
    }

    /// Asks the loop to publish, and waits until it has, at most for [`PUBLISH_PATIENCE`].
    async fn fresh(&self) -> Arc<str> {
        let mut published = self.status.subscribe();
        self.is_wanted.store(true, Ordering::Release);
        self.bell.ring();
        // The loop may be busy or may have ended: then its last figures are served.
        let _ = tokio::time::timeout(PUBLISH_PATIENCE, published.changed()).await;
        self.status.borrow().clone()
    }
}

/// A connection that is being served.
struct Connection {
    task: JoinHandle<()>,
    /// Whether its request's line and headers have come.
    has_asked: Arc<AtomicBool>,
}

/// The connections that are being served, the oldest first.
#[derive(Default)]
struct Connections(VecDeque<Connection>);

impl Connections {
    /// Makes sure that there is room for one more connection.
    async fn make_room(&mut self) {
        self.0.retain(|connection| !connection.task.is_finished());
        if self.0.len() < MOST_CONNECTIONS {
            return;
        }
        let asks = |connection: &Connection| connection.has_asked.load(Ordering::Relaxed);
        if let Some(place) = self.0.iter().position(|connection| !asks(connection)) {
            self.0.remove(place).inspect(|connection| connection.task.abort());
        } else if let Some(oldest) = self.0.pop_front() {
            // All of them are being answered: wait for the oldest. If it panicked, its place is
            // free too.
            let _ = oldest.task.await;
        }
    }
}

/// What the thread serves.
pub(super) struct Endpoint {
    /// Renders the metrics.
    pub metrics: MetricsHandle,
    /// Figures of the process. Reading them takes long, so only this thread does it.
    pub process: ProcessGauges,
    /// The signal that it shares with the loop.
    pub publish_signal: Arc<PublishSignal>,
}

impl Endpoint {
    /// Starts the thread, which serves on `listener` as long as the process lives.
    ///
    /// # Errors
    /// If the thread or its event loop cannot be started.
    pub fn start(self, listener: TcpListener) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let context = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        drop(context);
        let run = move || runtime.block_on(Arc::new(self).accept(listener));
        std::thread::Builder::new().name("metrics".into()).spawn(run).map(drop)
    }

    async fn accept(self: Arc<Endpoint>, listener: tokio::net::TcpListener) {
        let mut connections = Connections::default();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Mostly there are no free descriptors: other connections must close theirs first.
                tokio::time::sleep(PUBLISH_PATIENCE).await;
                continue;
            };
            connections.make_room().await;
            let has_asked = Arc::new(AtomicBool::new(false));
            let task = tokio::spawn(self.clone().serve(stream, has_asked.clone()));
            connections.0.push_back(Connection { task, has_asked });
            // The client may have asked already: find that out before the next connection comes.
            tokio::task::yield_now().await;
        }
    }

    /// Answers the one request of a connection.
    async fn serve(self: Arc<Endpoint>, stream: TcpStream, has_asked: Arc<AtomicBool>) {
        let service = service_fn(|request| {
            has_asked.store(true, Ordering::Relaxed);
            self.answer(request)
        });
        let connection = http1::Builder::new()
            .keep_alive(false)
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_buf_size(MOST_REQUEST_BYTES)
            .max_headers(MOST_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        match tokio::time::timeout(REQUEST_PATIENCE, connection).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a request for metrics"),
            Err(_) => tracing::debug!("a request for metrics took too long"),
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (status, kind, body) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/metrics") => {
                self.publish_signal.fresh().await;
                self.process.publish();
                let format = wanted_format(request.headers());
                (StatusCode::OK, format.content_type(), self.metrics.render(format))
            }
            (&Method::GET | &Method::HEAD, "/status") => {
                let status = self.publish_signal.fresh().await;
                (StatusCode::OK, "application/json", format!("{status}\n"))
            }
            (&Method::GET | &Method::HEAD, "/healthz") => {
                (StatusCode::OK, "text/plain", "ok\n".to_owned())
            }
            (&Method::GET | &Method::HEAD, _) => {
                let words = "not found: there are /metrics, /status and /healthz\n";
                (StatusCode::NOT_FOUND, "text/plain", words.to_owned())
            }
            _ => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "read only\n".to_owned()),
        };
        let zipped = takes_gzip(request.headers()).then(|| gzip(&body)).flatten();
        let is_zipped = zipped.is_some();
        let mut response = Response::new(Full::from(zipped.unwrap_or(body.into_bytes())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if is_zipped {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        Ok(response)
    }
}

/// `body` compressed, if that is shorter.
fn gzip(body: &str) -> Option<Vec<u8>> {
    // An exposition repeats itself: even the fastest level makes it ten times shorter.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.as_bytes()).ok()?;
    encoder.finish().ok().filter(|zipped| zipped.len() < body.len())
}

/// Opens `address` for the endpoint, and returns the address in use, with its port.
///
/// # Errors
/// If the host is not known, or if the address is in use or cannot be used.
pub(super) fn open(address: &str) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}
