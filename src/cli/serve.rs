//! `serve`: a view for others to read, until a signal ends it.

use crossbeam_channel::{Receiver, bounded, select};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::Serve;
use super::exit::{self, Stopped};
use super::opening;
use super::out::Out;
use crate::chain::{View, ViewSpec};
use crate::error::{Error, Kind};
use crate::serve::{Address, Export, Limits, Listen, Server};
use crate::text::Shown;

pub(super) fn run(args: &Serve, out: &mut Out) -> anyhow::Result<u8> {
    let view = match args.layer {
        true => opening::layer_view(&args.view, &args.reading, &args.allow, out)?,
        false => opening::view(&args.view, &args.reading, &args.allow, out)?,
    };
    let listen = match (&args.socket, args.tcp) {
        (Some(path), _) => Listen::Unix(path.clone()),
        (None, Some(address)) => Listen::Tcp(address),
        (None, None) => return Err(Error::new(Kind::Usage, "neither a socket nor a port was given").into()),
    };
    warnings(&view, &listen).iter().for_each(|warning| exit::say_raw(&format!("cowherd: {warning}")));

    let shown = Shown::bytes(args.view.as_encoded_bytes());
    // Without its folders, which are nobody's business.
    let export = Export::new(view).named(&args.name)?.described(&ViewSpec::parse(&args.view).name());
    let limits = Limits { clients: args.max_clients.into(), ..Limits::default() };
    // Before anybody can know of the socket: a signal must not leave it behind.
    let signals = signals()?;
    let server = Server::start(export, &listen, limits)?;
    if !out.quiet {
        let uri = server.uri();
        out.line(format!("serving {shown} at {uri}"))?;
        out.line(format!("copy it with: qemu-img convert -f raw -O qcow2 '{uri}' copy.qcow2"))?;
        out.line(format!("         or: nbdcopy '{uri}' copy.img"))?;
        out.flush()?;
    }
    let signal = watch(&server, &signals, out);
    let left = match server.address() {
        Address::Unix(path) => format!("{} is removed", Shown::path(path)),
        Address::Tcp(address) => format!("nobody listens at {address} any more"),
    };
    let (clients, events) = (server.clients(), server.events().clone());
    server.stop();
    events.try_iter().for_each(|event| out.note(event.to_string()));
    let message = match clients {
        0 => format!("stopped; {left}"),
        n => format!("stopped with {n} still connected; {left}"),
    };
    Err(Stopped { signal, message }.into())
}

/// Tells what clients do until a signal comes, and gives that.
fn watch(server: &Server, signals: &Receiver<i32>, out: &Out) -> u8 {
    loop {
        select! {
            recv(signals) -> signal => return signal.ok().and_then(|s| u8::try_from(s).ok()).unwrap_or(SIGTERM as u8),
            recv(server.events()) -> event => event.iter().for_each(|event| out.note(event.to_string())),
        }
    }
}

fn signals() -> std::io::Result<Receiver<i32>> {
    let (send, receive) = bounded(1);
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for (n, signal) in signals.forever().enumerate() {
            if n > 0 {
                // Stopping waits for reads of an image. Who asks again does not want to.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            let _ = send.try_send(signal);
        }
    })?;
    Ok(receive)
}

fn warnings(view: &View, listen: &Listen) -> Vec<String> {
    let mut warnings = Vec::new();
    match listen {
        Listen::Tcp(address) if !address.ip().is_loopback() => warnings.push(format!(
            "warning: whoever reaches {address} can read the view; there is no encryption and no authentication"
        )),
        _ => {}
    }
    for layer in view.layers() {
        if let Some(how) = layer.image.encryption() {
            let how = format!("{how:?}").to_uppercase();
            let path = Shown::path(&layer.path);
            warnings
                .push(format!("warning: {path} is encrypted ({how}): clients get an error for its content"));
        }
    }
    warnings
}
