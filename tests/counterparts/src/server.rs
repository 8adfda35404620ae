use axum::Router;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Routes on a loopback port of their own; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(routes: Router) -> Self {
        Self::on(listener().await, routes)
    }

    /// For routes that must know their address.
    pub(crate) fn on(listener: TcpListener, routes: Router) -> Self {
        let address = listener.local_addr().expect("a listener has an address");
        let task = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap_or_default() });
        Self { address, task }
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port left")
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("nothing panics while holding this lock")
}
