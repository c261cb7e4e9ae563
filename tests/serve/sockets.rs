//! Where a server listens, and how it ends.

use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use cowherd::error::Kind;
use cowherd::serve::{Address, Limits, Listen, Server};

use crate::client::*;
use crate::stage::{Serving, Sheet, export};

fn start(listen: &Listen) -> cowherd::error::Result<Server> {
    Server::start(export(Sheet::new(1 << 20, &[])), listen, Limits::default())
}

#[test]
fn a_socket_is_for_its_owner_and_goes_away() {
    let serving = Serving::new(export(Sheet::new(1 << 20, &[])), Limits::default());
    assert_eq!(serving.path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(serving.server.uri(), format!("nbd+unix:///disk?socket={}", serving.path.display()));
    serving.server.stop();
    assert!(!serving.path.exists());
    assert!(UnixStream::connect(&serving.path).is_err());
}

#[test]
fn only_what_is_left_over_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    let listen = Listen::Unix(path.clone());
    let refused = |kind| {
        let before = path.symlink_metadata().unwrap();
        assert_eq!(start(&listen).map(drop).unwrap_err().kind(), kind);
        assert_eq!(path.symlink_metadata().unwrap().ino(), before.ino(), "it was replaced");
    };
    std::fs::write(&path, b"").unwrap();
    refused(Kind::Exists);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused(Kind::Exists);
    std::fs::remove_dir(&path).unwrap();
    // Not even one that leads nowhere, or to a socket.
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    refused(Kind::Exists);
    std::fs::remove_file(&path).unwrap();
    let datagrams = UnixDatagram::bind(&path).unwrap();
    refused(Kind::Io);
    drop(datagrams);
    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    refused(Kind::InUse);
    // Nobody listens any more, and the name stays.
    drop(listener);
    let server = start(&listen).unwrap();
    Client::opened(&path, &[]).read(0, 512).unwrap();
    assert_eq!(start(&listen).map(drop).unwrap_err().kind(), Kind::InUse);
    server.stop();
    assert!(!path.exists());
    let long = Listen::Unix(folder.path().join("x".repeat(108)));
    assert_eq!(start(&long).map(drop).unwrap_err().kind(), Kind::Usage);
    let nowhere = Listen::Unix(folder.path().join("no-folder/sock"));
    assert_eq!(start(&nowhere).map(drop).unwrap_err().kind(), Kind::NotFound);
}

#[test]
fn what_somebody_else_put_there_stays() {
    let serving = Serving::new(export(Sheet::new(1 << 20, &[])), Limits::default());
    std::fs::remove_file(&serving.path).unwrap();
    std::fs::write(&serving.path, b"mine").unwrap();
    serving.server.stop();
    assert_eq!(std::fs::read(&serving.path).unwrap(), b"mine");
}

#[test]
fn a_port_serves_as_well() {
    let server = start(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).unwrap();
    let Address::Tcp(address) = *server.address() else { panic!("no port") };
    assert!(address.ip().is_loopback() && address.port() != 0);
    assert_eq!(server.uri(), format!("nbd://{address}/disk"));
    let mut client = Client::new(TcpStream::connect(address).unwrap());
    client.open(&["base:allocation"]);
    assert_eq!(client.read(0, 1 << 20).unwrap().len(), 1 << 20);
    assert!(start(&Listen::Tcp(address)).is_err(), "it is taken");
    server.stop();
    assert!(client.is_over());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn stopping_ends_idle_and_stuck_clients() {
    let limits = Limits { grace: Duration::from_millis(20), ..Limits::default() };
    let serving = Serving::new(export(Sheet::new(33 << 20, &[])), limits);
    let mut idle = Client::opened(&serving.path, &[]);
    let mut half = serving.connect();
    let mut stuck = Client::opened(&serving.path, &[]);
    stuck.request(READ, 0, 0, 32 << 20);
    half.bytes(18);
    serving.wait_for(3);
    drop(serving.server);
    assert!(idle.is_over());
    assert!(half.is_over());
}

#[test]
fn replies_under_way_are_finished() {
    let serving = Serving::new(
        export(Sheet::new(33 << 20, &[])),
        Limits { grace: Duration::from_secs(3600), ..Limits::default() },
    );
    let mut client = Client::opened(&serving.path, &[]);
    client.request(READ, 0, 0, 32 << 20);
    // It is being answered: the socket takes far less than that.
    let first = client.chunk();
    assert_eq!((first.0, first.1), (false, 1));
    let server = serving.server;
    let stopped = thread::spawn(move || server.stop());
    let mut told = first.2.len() - 8;
    while told < 32 << 20 {
        told += client.chunk().2.len() - 8;
    }
    assert!(client.is_over());
    stopped.join().unwrap();
}

#[test]
fn many_at_once_read_the_same() {
    let len = 3 << 20;
    let sheet = Sheet::new(len, &[(1 << 20)..(2 << 20)]);
    let bytes = sheet.bytes.clone();
    let serving = Serving::new(export(sheet), Limits::default());
    thread::scope(|scope| {
        for n in 0..12_u64 {
            let (path, bytes) = (&serving.path, &bytes);
            scope.spawn(move || {
                let mut client = Client::connect(path);
                client.hello(3);
                if n % 2 == 0 {
                    client.structured();
                }
                client.go("", &[]);
                let mut random = crate::common::Random::new(n);
                for _ in 0..40 {
                    let at = random.below(len as u64);
                    let n = (1 + random.below(400_000)).min(len as u64 - at);
                    let got = client.read(at, n as u32).unwrap();
                    assert!(got == bytes[at as usize..(at + n) as usize]);
                }
                client.request(DISC, 0, 0, 0);
                assert!(client.is_over());
            });
        }
    });
    serving.wait_for(0);
}
