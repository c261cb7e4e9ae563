//! What JSON has no words for: paths (text where they are UTF-8, a list of bytes where they are not), and
//! sectors (hexadecimal digits).

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<&Path> for Name {
    fn from(path: &Path) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(path.as_os_str().as_bytes().to_vec()),
        }
    }
}

impl From<Name> for OsString {
    fn from(name: Name) -> Self {
        match name {
            Name::Text(text) => text.into(),
            Name::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

/// A path.
pub(crate) mod path {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(path: &impl AsRef<Path>, s: S) -> Result<S::Ok, S::Error> {
        Name::from(path.as_ref()).serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, P: From<OsString>>(d: D) -> Result<P, D::Error> {
        Ok(OsString::from(Name::deserialize(d)?).into())
    }
}

/// A path, or none.
pub(crate) mod path_option {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(path: &Option<PathBuf>, s: S) -> Result<S::Ok, S::Error> {
        path.as_deref().map(Name::from).serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<Name>::deserialize(d)?.map(|name| OsString::from(name).into()))
    }
}

/// A sector.
pub(crate) mod sector {
    use serde::de::Error;

    use super::*;

    pub(crate) fn serialize<S: Serializer>(sector: &[u8; 512], s: S) -> Result<S::Ok, S::Error> {
        let mut digits = String::with_capacity(1024);
        for byte in sector {
            digits.extend(
                [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')),
            );
        }
        digits.serialize(s)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 512], D::Error> {
        let digits = String::deserialize(d)?;
        let digits: Option<Vec<_>> = digits.chars().map(|c| c.to_digit(16)).collect();
        let bytes = digits.unwrap_or_default();
        let bytes: Vec<u8> = bytes.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
        bytes.try_into().map_err(|_| D::Error::custom("not a sector"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Both {
        #[serde(with = "path")]
        one: PathBuf,
        #[serde(with = "path_option")]
        two: Option<PathBuf>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sector(#[serde(with = "sector")] [u8; 512]);

    #[test]
    fn a_sector_survives() -> serde_json::Result<()> {
        let sector = Sector(std::array::from_fn(|i| (i * 7) as u8));
        let text = serde_json::to_string(&sector)?;
        assert_eq!(serde_json::from_str::<Sector>(&text)?, sector);
        assert!(serde_json::from_str::<Sector>(&text.replacen('0', "", 1)).is_err());
        Ok(())
    }

    #[test]
    fn every_name_survives() -> serde_json::Result<()> {
        for bytes in [&b"/a/b"[..], b"/\xff\x00", b"", "/ä".as_bytes()] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            for two in [None, Some(path.clone())] {
                let both = Both { one: path.clone(), two };
                assert_eq!(serde_json::from_str::<Both>(&serde_json::to_string(&both)?)?, both);
            }
        }
        Ok(())
    }
}
