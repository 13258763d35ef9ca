//! A way to a server that can be cut off and slowed: a relay of our own on
//! loopback. What it takes it carries in order, at once or later.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use crate::answer::RUNTIME;

/// Bytes of a piece,
const PIECE: usize = 16 * 1024;
/// and pieces that one direction of a connection holds: a window of 4 MiB.
const PIECES: usize = 256;

/// Where a relay leads to.
#[derive(Clone, Debug)]
pub enum Behind {
    /// An address of this machine.
    Tcp(SocketAddr),
    /// A socket of a folder.
    Socket(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    After(Duration),
    Nothing,
}

/// A relay. With it its connections end.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    behind: watch::Sender<Option<Behind>>,
    carries: watch::Sender<Carries>,
    serving: JoinHandle<()>,
}

impl Default for Relay {
    fn default() -> Self {
        Self::new()
    }
}

impl Relay {
    /// One that leads nowhere yet: who comes is sent away.
    #[must_use]
    pub fn new() -> Self {
        let listening = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let listener = RUNTIME.block_on(listening).unwrap();
        let (behind, leads) = watch::channel(None);
        let (carries, carried) = watch::channel(Carries::After(Duration::ZERO));
        Self {
            address: listener.local_addr().unwrap(),
            behind,
            carries,
            serving: RUNTIME.spawn(serve(listener, leads, carried)),
        }
    }

    /// One that leads there.
    #[must_use]
    pub fn to(behind: Behind) -> Self {
        let relay = Self::new();
        relay.leads_to(behind);
        relay
    }

    /// Leads who comes from now on there.
    pub fn leads_to(&self, behind: Behind) {
        self.behind.send_replace(Some(behind));
    }

    /// Where it is reached.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection, and each one that comes.
    pub fn cuts_off(&self) {
        self.carries.send_replace(Carries::Nothing);
    }

    /// Holds what goes either way for so long.
    pub fn slows_by(&self, delay: Duration) {
        self.carries.send_replace(Carries::After(delay));
    }

    /// Carries everything at once again.
    pub fn carries_on(&self) {
        self.slows_by(Duration::ZERO);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    listener: TcpListener,
    behind: watch::Receiver<Option<Behind>>,
    carries: watch::Receiver<Carries>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((near, _)) = accepted {
                    let behind = behind.borrow().clone();
                    connections.spawn(carry(near, behind, carries.clone()));
                }
            }
            Some(_ended) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn carry(near: TcpStream, behind: Option<Behind>, carries: watch::Receiver<Carries>) {
    let mut cut = carries.clone();
    tokio::select! {
        biased;
        _cut = cut.wait_for(|now| *now == Carries::Nothing) => {}
        () = both_ways(near, behind, carries) => {}
    }
}

async fn both_ways(near: TcpStream, behind: Option<Behind>, carries: watch::Receiver<Carries>) {
    let _slower_otherwise = near.set_nodelay(true);
    match behind {
        Some(Behind::Tcp(address)) => {
            if let Ok(far) = TcpStream::connect(address).await {
                let _slower_otherwise = far.set_nodelay(true);
                let (from, to) = far.into_split();
                exchange(near, from, to, carries).await;
            }
        }
        Some(Behind::Socket(path)) => {
            if let Ok(far) = UnixStream::connect(path).await {
                let (from, to) = far.into_split();
                exchange(near, from, to, carries).await;
            }
        }
        None => {}
    }
}

async fn exchange(
    near: TcpStream,
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    carries: watch::Receiver<Carries>,
) {
    let (near_from, near_to) = near.into_split();
    tokio::join!(
        one_way(near_from, to, carries.clone()),
        one_way(from, near_to, carries)
    );
}

/// Ends when there is nothing more to carry, or nobody takes it.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    carries: watch::Receiver<Carries>,
) {
    let (held, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let taking = async move {
        loop {
            let mut piece = vec![0; PIECE];
            match from.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(length) => piece.truncate(length),
            }
            let delay = match *carries.borrow() {
                Carries::After(delay) => delay,
                Carries::Nothing => break,
            };
            if held.send((Instant::now() + delay, piece)).await.is_err() {
                break;
            }
        }
        drop(held);
        std::future::pending::<()>().await;
    };
    let giving = async move {
        while let Some((at, piece)) = due.recv().await {
            // A timer of tokio's takes a millisecond at least, and a question of a
            // database passes here four times.
            if at > Instant::now() {
                sleep_until(at).await;
            }
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _gone = to.shutdown().await;
    };
    tokio::select! {
        () = taking => {}
        () = giving => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream as Blocking;

    use super::*;

    /// A server that says what it hears.
    fn echo() -> SocketAddr {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || {
                    let (mut from, mut to) = (stream.try_clone().unwrap(), stream);
                    let _ended = std::io::copy(&mut from, &mut to);
                });
            }
        });
        address
    }

    fn echoes(stream: &mut Blocking) -> std::io::Result<Duration> {
        let began = std::time::Instant::now();
        stream.write_all(b"hilum")?;
        let mut heard = [0; 5];
        stream.read_exact(&mut heard)?;
        assert_eq!(&heard, b"hilum");
        Ok(began.elapsed())
    }

    #[test]
    fn it_carries_delays_and_cuts_off_and_carries_again() {
        let relay = Relay::to(Behind::Tcp(echo()));
        let connect = || Blocking::connect(relay.address()).unwrap();
        let mut stream = connect();
        echoes(&mut stream).unwrap();
        relay.slows_by(Duration::from_millis(200));
        assert!(echoes(&mut stream).unwrap() >= Duration::from_millis(400));
        relay.cuts_off();
        assert!(echoes(&mut stream).is_err());
        assert!(echoes(&mut connect()).is_err());
        relay.carries_on();
        echoes(&mut connect()).unwrap();
    }

    #[test]
    fn who_has_said_everything_still_hears_the_answer() {
        let relay = Relay::to(Behind::Tcp(echo()));
        let mut stream = Blocking::connect(relay.address()).unwrap();
        let all = vec![7; 3 << 20];
        let mut heard = Vec::new();
        std::thread::scope(|scope| {
            let mut writing = stream.try_clone().unwrap();
            let sent = &all;
            scope.spawn(move || {
                writing.write_all(sent).unwrap();
                writing.shutdown(std::net::Shutdown::Write).unwrap();
            });
            stream.read_to_end(&mut heard).unwrap();
        });
        assert_eq!(heard, all);
    }
}
