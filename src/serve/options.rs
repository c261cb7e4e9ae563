//! What the data of an option says.

use super::wire::{Fields, MAX_NAME};

/// Why an option is answered with an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Lengths that contradict each other.
    Invalid,
    /// A string longer than [`MAX_NAME`].
    TooLong,
}

/// `NBD_OPT_INFO` and `NBD_OPT_GO`: the name of an export, and what is asked about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InfoOf<'a> {
    pub(super) name: &'a [u8],
    pub(super) wanted: Vec<u16>,
}

/// `NBD_OPT_LIST_META_CONTEXT` and `NBD_OPT_SET_META_CONTEXT`: the name of an export, and queries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContextsOf<'a> {
    pub(super) name: &'a [u8],
    pub(super) queries: Vec<&'a [u8]>,
}

impl<'a> InfoOf<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Refusal> {
        let mut fields = Fields(data);
        let name = string(&mut fields)?;
        let count = fields.u16().ok_or(Refusal::Invalid)?;
        let wanted = (0..count).map_while(|_| fields.u16()).collect::<Vec<_>>();
        // Neither fewer than were announced nor anything behind them.
        match wanted.len() == usize::from(count) && fields.0.is_empty() {
            true => Ok(Self { name, wanted }),
            false => Err(Refusal::Invalid),
        }
    }
}

impl<'a> ContextsOf<'a> {
    pub(super) fn parse(data: &'a [u8]) -> Result<Self, Refusal> {
        let mut fields = Fields(data);
        let name = string(&mut fields)?;
        let count = fields.u32().ok_or(Refusal::Invalid)?;
        let mut queries = Vec::new();
        // Each takes four bytes at least, so what was announced takes no memory before it is there.
        for _ in 0..count {
            queries.push(string(&mut fields)?);
        }
        if fields.0.is_empty() { Ok(Self { name, queries }) } else { Err(Refusal::Invalid) }
    }
}

fn string<'a>(fields: &mut Fields<'a>) -> Result<&'a [u8], Refusal> {
    let string = fields.string().ok_or(Refusal::Invalid)?;
    if string.len() > MAX_NAME { Err(Refusal::TooLong) } else { Ok(string) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_must_agree() {
        let data = [&[0, 0, 0, 1][..], b"n", &[0, 2], &[0, 3, 0, 9]].concat();
        assert_eq!(InfoOf::parse(&data), Ok(InfoOf { name: b"n", wanted: vec![3, 9] }));
        for end in 0..data.len() {
            assert_eq!(InfoOf::parse(&data[..end]), Err(Refusal::Invalid), "{end}");
        }
        assert_eq!(InfoOf::parse(&[&data[..], &[0]].concat()), Err(Refusal::Invalid));
    }

    #[test]
    fn queries_that_are_only_announced_take_no_memory() {
        let data = [&[0, 0, 0, 0][..], &[0xff; 4]].concat();
        assert_eq!(ContextsOf::parse(&data), Err(Refusal::Invalid));
        let data = [&[0, 0, 0, 0][..], &[0, 0, 0, 1], &[0, 0, 0, 5], b"base:"].concat();
        let parsed = ContextsOf { name: &b""[..], queries: vec![&b"base:"[..]] };
        assert_eq!(ContextsOf::parse(&data), Ok(parsed));
        for end in 0..data.len() {
            assert_eq!(ContextsOf::parse(&data[..end]), Err(Refusal::Invalid), "{end}");
        }
    }

    #[test]
    fn long_strings_are_told_from_wrong_ones() {
        let long = [&4097_u32.to_be_bytes()[..], &[b'x'; 4097], &[0, 0]].concat();
        assert_eq!(InfoOf::parse(&long), Err(Refusal::TooLong));
    }
}
