//! Opening an image with everything below it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Gate, StateSpec, View, ViewSpec};
use crate::error::{Error, Kind, Place, Result};
use crate::image::{self, Files, Format, Image, State};
use crate::storage::{Access, Disk, File, HostDisk, Lock};
use crate::text::Shown;

/// Deepest chain that is followed. QEMU itself becomes unusable long before.
pub const MAX_DEPTH: usize = 256;

/// How images are opened: through which gate, with which format, under which locks.
#[derive(Clone)]
pub struct Opener {
    /// Which names in images may be followed.
    pub gate: Gate,
    /// The format of the top image, when it must not be probed.
    pub format: Option<Format>,
    /// Read although somebody may be writing (the result may be stale or torn).
    pub force_share: bool,
    /// Leave external data files closed: for what headers and tables say.
    pub no_data: bool,
    /// Where the files are.
    pub disk: Arc<dyn Disk>,
}

impl Default for Opener {
    fn default() -> Self {
        let (gate, disk) = (Gate::default(), Arc::new(HostDisk));
        Self { gate, format: None, force_share: false, no_data: false, disk }
    }
}

/// One image of a chain.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Real path.
    pub path: PathBuf,
    /// The image.
    pub image: Arc<dyn Image>,
    /// Real path of its external data file, when it has one.
    pub data: Option<PathBuf>,
    // Held as long as anyone reads the layer, so that nobody changes it underneath.
    locks: Arc<[Lock]>,
}

impl Layer {
    /// A layer without a lock, for images in memory and for planning (which must not block a
    /// running guest; a job checks again under its own locks).
    pub fn new(path: PathBuf, image: Arc<dyn Image>) -> Self {
        Self { path, image, data: None, locks: Arc::new([]) }
    }

    /// Whether nobody can change it meanwhile.
    pub fn is_locked(&self) -> bool {
        !self.locks.is_empty()
    }
}

/// An image and its backing files, top first.
#[derive(Debug, Clone)]
pub struct Chain {
    layers: Arc<[Layer]>,
}

impl Opener {
    /// Opens with a gate for the folder of `path`, probing its format.
    pub fn for_path(path: &Path) -> Self {
        Self { gate: Gate::for_paths([path]), ..Self::default() }
    }

    /// Opens the image at `path` and everything below it, for reading, under read locks.
    ///
    /// Fails when a backing file is missing or not allowed, when the chain loops or is deeper than
    /// [`MAX_DEPTH`], when another process writes one of the files, or when a file is damaged.
    pub fn open(&self, path: &Path) -> Result<Chain> {
        self.open_for(path, &StateSpec::Active)
    }

    /// The same, for reading nothing of the top image but `state`. An internal snapshot does not change while
    /// somebody writes the image it is in, so that image is opened without a lock if there is no other way;
    /// [`View::still_there`] then tells whether what was read is good.
    pub fn open_for(&self, path: &Path, state: &StateSpec) -> Result<Chain> {
        let mut seen = HashSet::new();
        let mut layers: Vec<Layer> = Vec::new();
        let mut next = Some((path.to_path_buf(), self.format));
        while let Some((path, format)) = next.take() {
            if layers.len() == MAX_DEPTH {
                return Err(Error::corrupt(format!("chain deeper than {MAX_DEPTH} images")).at(&path));
            }
            let layer = match self.layer(&path, format) {
                Err(e) if e.kind() == Kind::InUse && layers.is_empty() && *state != StateSpec::Active => {
                    Self { force_share: true, ..self.clone() }.layer(&path, format)?
                }
                opened => opened?,
            };
            if !seen.insert(layer.image.file().id()) {
                return Err(Error::corrupt("backing chain loops back to this file").at(&path));
            }
            if let Some(backing) = layer.image.backing() {
                let format = backing.format.as_deref().map(known_format).transpose().at(&layer.path)?;
                next = Some((self.gate.resolve(&layer.path, &backing.name)?, format));
            }
            layers.push(layer);
        }
        Ok(Chain { layers: layers.into() })
    }

    /// Opens the view that `spec` names.
    pub fn open_view(&self, spec: &ViewSpec) -> Result<View> {
        let opener = Self { format: spec.format.or(self.format), ..self.clone() };
        let chain = opener.open_for(&spec.path, &spec.state)?;
        let state = chain.find_state(&spec.state)?;
        Ok(chain.view(state))
    }

    /// One image with its data file, without what is below it.
    pub fn layer(&self, path: &Path, format: Option<Format>) -> Result<Layer> {
        let mut locks = Vec::new();
        let file = self.locked(path, &mut locks)?;
        let mut image = image::open(file.clone(), format)?;
        let data = self.data_file(path, &*image)?;
        if let Some(data) = &data {
            let opened = self.locked(data, &mut locks)?;
            if opened.id() == file.id() {
                return Err(Error::corrupt("the data file that it names is the image itself").at(path));
            }
            let files = Files { image: file, data: Some(opened) };
            image = image::open(files, Some(image.format()))?;
        }
        Ok(Layer { path: path.to_path_buf(), image, data, locks: locks.into() })
    }

    /// The files of the image at `path`, open for reading and without locks.
    pub fn files(&self, path: &Path, format: Format) -> Result<Files> {
        let file = self.disk.open(path, false)?;
        let image = image::open(file.clone(), Some(format))?;
        let data = self.data_file(path, &*image)?.map(|data| self.disk.open(&data, false)).transpose()?;
        Ok(Files { image: file, data })
    }

    fn data_file(&self, path: &Path, image: &dyn Image) -> Result<Option<PathBuf>> {
        let wanted = image.data_file().filter(|_| !self.no_data);
        wanted.map(|data| self.gate.resolve_data(path, data)).transpose()
    }

    fn locked(&self, path: &Path, locks: &mut Vec<Lock>) -> Result<Arc<dyn File>> {
        let file = self.disk.open(path, false)?;
        if !self.force_share {
            locks.push(Lock::acquire(file.clone(), Access::Read).map_err(reading_needs_locks)?);
        }
        Ok(file)
    }
}

/// Adds what to do where there are no locks, to whatever is only read.
pub fn reading_needs_locks(e: Error) -> Error {
    match e.kind() {
        Kind::NoLocks => e.remedy(
            "make sure that nobody writes to it, then repeat with --force-share, which reads without locks",
        ),
        _ => e,
    }
}

fn known_format(name: &str) -> Result<Format> {
    Format::from_name(name).ok_or_else(|| {
        Error::unsupported(format!("backing format \"{}\" is not one of raw, qcow2, qed", Shown::new(name)))
    })
}

impl Chain {
    /// A chain of these layers, top first. At least one is needed.
    pub fn from_layers(layers: Vec<Layer>) -> Self {
        Self { layers: layers.into() }
    }

    /// The layers, top first; never empty.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// How deep the layer at `path` lies, 0 on top.
    pub fn depth_of(&self, path: &Path) -> Option<usize> {
        self.layers.iter().position(|layer| layer.path == path)
    }

    /// The image on top.
    pub fn top(&self) -> &Layer {
        &self.layers[0]
    }

    /// One state of the top image through the chain. Saved machine state is in the top image alone: what it
    /// leaves out reads as zeros.
    pub fn view(&self, state: State) -> View {
        match state {
            State::VmState(_) => View::new(self.layers[..1].into(), state),
            _ => View::new(self.layers.clone(), state),
        }
    }

    /// The chain below the top image; `None` for a base.
    pub fn below(&self) -> Option<Chain> {
        (self.layers.len() > 1).then(|| Self { layers: self.layers[1..].into() })
    }

    /// The state of the top image that `spec` names.
    pub fn find_state(&self, spec: &StateSpec) -> Result<State> {
        let snapshots = self.top().image.snapshots();
        let matches: Vec<usize> = match spec {
            StateSpec::Active => return Ok(State::Active),
            StateSpec::Id(id) | StateSpec::VmState(id) => {
                (0..snapshots.len()).filter(|i| snapshots[*i].id == *id).collect()
            }
            StateSpec::Name(name) => (0..snapshots.len()).filter(|i| snapshots[*i].name == *name).collect(),
        };
        match matches.as_slice() {
            [one] if matches!(spec, StateSpec::VmState(_)) => Ok(State::VmState(*one)),
            [one] => Ok(State::Snapshot(*one)),
            [] => Err(Error::new(Kind::NotFound, format!("no snapshot {spec}")).at(&self.top().path)),
            _ => Err(Error::new(Kind::Usage, format!("several snapshots are called {spec}"))
                .at(&self.top().path)
                .remedy("name it by id: IMAGE@#ID")),
        }
    }
}
