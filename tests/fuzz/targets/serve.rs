//! The NBD server: whatever a client says from its first byte on, about a sound image.

#![no_main]

use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};

use cowherd::chain::{Chain, Layer};
use cowherd::image::{self, State};
use cowherd::serve::{Export, talk};
use cowherd::storage::MemFile;
use cowherd_fuzz::sample;
use libfuzzer_sys::fuzz_target;

/// Everything has been said before anything is answered, and nobody listens.
struct Said<'a>(&'a [u8]);

impl Read for Said<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Said<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The image of this kind; each is opened once.
fn export(kind: u8) -> &'static Export {
    static KNOWN: [OnceLock<Export>; 8] = [const { OnceLock::new() }; 8];
    KNOWN[usize::from(kind % 8)].get_or_init(|| {
        let file = Arc::new(MemFile::new("disk", sample(kind % 8).0));
        let image = image::open(file, None).expect("a sound image");
        let chain = Chain::from_layers(vec![Layer::new("disk".into(), image)]);
        Export::new(chain.view(State::Active)).named("disk").expect("a short name")
    })
}

fuzz_target!(|input: &[u8]| {
    let Some((kind, said)) = input.split_first() else { return };
    talk(&mut Said(said), export(*kind), |_| {});
});
