//! The files that one image consists of.

use std::ffi::OsString;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::storage::File;

/// An image's own file and, where its data lies in a file of its own, that one as well.
///
/// A single file turns into this by itself. Without the data file everything that needs metadata
/// only works; content is refused.
#[derive(Clone)]
pub struct Files {
    /// Header and tables, and the data unless there is a data file.
    pub image: Arc<dyn File>,
    /// The external data file, opened by whoever may decide on names found in images.
    pub data: Option<Arc<dyn File>>,
}

impl From<Arc<dyn File>> for Files {
    fn from(image: Arc<dyn File>) -> Self {
        Self { image, data: None }
    }
}

impl<F: File + 'static> From<Arc<F>> for Files {
    fn from(image: Arc<F>) -> Self {
        Self { image, data: None }
    }
}

/// An external data file as an image names it. Nobody has looked whether it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataFile {
    /// The recorded name, byte for byte; empty when none is recorded.
    #[serde(with = "crate::wire::path")]
    pub name: OsString,
    /// The data file by itself is a raw image of the same content.
    pub raw: bool,
}
