//! What is served: one view, and what clients are told of it.

use super::wire::{MAX_NAME, MAX_REQUEST, export_flag};
use crate::chain::View;
use crate::error::{Error, Kind, Result};
use crate::text::Shown;

/// The view of a server, with its name.
#[derive(Debug, Clone)]
pub struct Export {
    view: View,
    name: String,
    description: String,
}

impl Export {
    /// A view under the empty name, which clients ask for when they ask for none.
    pub fn new(view: View) -> Self {
        let top = view.layers().first().and_then(|layer| layer.path.file_name());
        let description = top.map(|name| Shown::bytes(name.as_encoded_bytes()).into_string());
        Self { view, name: String::new(), description: cut(description.unwrap_or_default(), MAX_NAME) }
    }

    /// The same under another name as well. Fails when clients could not send that name.
    pub fn named(self, name: &str) -> Result<Self> {
        if name.len() > MAX_NAME || name.contains('\0') {
            let what = format!("an export's name has at most {MAX_NAME} bytes, and no zero byte");
            return Err(Error::new(Kind::Usage, what));
        }
        Ok(Self { name: name.to_owned(), ..self })
    }

    /// The same with words for people about what it is.
    #[must_use]
    pub fn described(self, text: &str) -> Self {
        Self { description: cut(Shown::new(text).into_string(), MAX_NAME), ..self }
    }

    /// The view.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The name that clients are told; empty when none was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn description(&self) -> &str {
        &self.description
    }

    pub(super) fn is_called(&self, name: &[u8]) -> bool {
        name.is_empty() || name == self.name.as_bytes()
    }

    /// "Transmission flags". All connections read the same unchanging view, so a client may have several.
    pub(super) fn flags(&self, structured: bool) -> u16 {
        use export_flag::{CAN_MULTI_CONN, HAS_FLAGS, READ_ONLY, SEND_DF};
        HAS_FLAGS | READ_ONLY | CAN_MULTI_CONN | if structured { SEND_DF } else { 0 }
    }

    /// "Size constraints": the smallest, the preferred and the largest request.
    pub(super) fn sizes(&self) -> [u32; 3] {
        let cluster = self.view.layers().first().map_or(0, |layer| layer.image.cluster_size());
        // A power of two, as clusters are; larger ones than this gain nothing.
        let preferred = u32::try_from(cluster.clamp(4 << 10, 64 << 10)).unwrap_or(4 << 10);
        [1, preferred, MAX_REQUEST]
    }
}

/// At most `most` bytes of `text`.
pub(super) fn cut(mut text: String, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}
