//! Options and their answers.

use crate::client::*;
use crate::stage::{Sheet, connected, export};

const SIZE: u64 = 1 << 20;

fn client() -> Client<std::os::unix::net::UnixStream> {
    connected(&export(Sheet::new(SIZE as usize, &[])))
}

#[test]
fn the_old_way_in() {
    for (flags, zeroes) in [(0, 124), (1, 124), (2, 0), (3, 0)] {
        for name in ["", "disk"] {
            let mut client = client();
            client.hello(flags);
            client.send(&option(EXPORT_NAME, name.as_bytes()));
            assert_eq!(client.bytes(8), SIZE.to_be_bytes());
            // Read-only, several connections; nothing of structured replies.
            assert_eq!(client.bytes(2), 0x0103_u16.to_be_bytes());
            assert_eq!(client.bytes(zeroes), vec![0; zeroes]);
            assert_eq!(client.read(0, 512).unwrap().len(), 512);
        }
    }
}

#[test]
fn what_cannot_be_answered_ends_it() {
    // Unknown flags of the client.
    let mut one = client();
    one.hello(4);
    assert!(one.is_over());
    // No such export, and no way to say so.
    for name in ["other", "dis", "disk\0", &"x".repeat(5000)] {
        let mut one = client();
        one.hello(3);
        one.send(&option(EXPORT_NAME, name.as_bytes()));
        assert!(one.is_over(), "{name}");
    }
    // Without fixed newstyle there is one option only.
    for which in [ABORT, LIST, GO, STRUCTURED, 77] {
        let mut one = client();
        one.hello(0);
        one.send(&option(which, &[]));
        assert!(one.is_over(), "{which}");
    }
    // Not an option.
    let mut one = client();
    one.hello(3);
    one.send(b"IHAVEOPU\0\0\0\x01\0\0\0\0");
    assert!(one.is_over());
}

#[test]
fn go_tells_what_was_asked() {
    let mut one = client();
    one.hello(3);
    let (size, flags, rest) = told(&one.ask(INFO, &info_data("disk", &[])));
    assert_eq!((size, flags, rest), (SIZE, 0x0103, vec![]));
    one.structured();
    let (size, flags, rest) = one.go("disk", &[9, 3, 2, 1, 0, 700]);
    assert_eq!((size, flags), (SIZE, 0x0183));
    let sizes = [1_u32, 4096, 32 << 20].map(u32::to_be_bytes).concat();
    // What a terminal must not see is escaped.
    let description = b"sheet\\u{1b}[31m".to_vec();
    assert_eq!(rest, [(1, b"disk".to_vec()), (2, description), (3, sizes)]);
    assert_eq!(one.read(SIZE - 1, 1).unwrap().len(), 1);
}

#[test]
fn names() {
    let mut one = client();
    one.hello(1);
    let listed = one.ask(LIST, &[]);
    let entry = [&4_u32.to_be_bytes()[..], b"disk", b"sheet\\u{1b}[31m"].concat();
    assert_eq!(listed, [(SERVER, entry), (ACK, vec![])]);
    for which in [INFO, GO] {
        for name in ["other", "Disk", "disk/"] {
            let replies = one.ask(which, &info_data(name, &[3]));
            assert_eq!((replies.len(), replies[0].0), (1, UNKNOWN), "{name}");
        }
        assert_eq!(one.verdict(which, &info_data(&"x".repeat(4097), &[])), TOO_BIG);
        // A name that is longer than the option.
        assert_eq!(one.verdict(which, &[0, 0, 0, 9, b'd', 0, 0]), INVALID);
        assert_eq!(one.verdict(which, &[]), INVALID);
        assert_eq!(one.verdict(which, &[info_data("disk", &[3]), vec![0]].concat()), INVALID);
    }
    one.go("", &[]);
    one.read(0, 1).unwrap();
}

#[test]
fn what_is_not_known_is_said_to_be_and_the_next_is_understood() {
    let mut one = client();
    one.hello(3);
    for which in [0, 4, STARTTLS, EXTENDED, 12, 0xffff_ffff] {
        for data in [0, 1, 4096, 65_536] {
            assert_eq!(one.verdict(which, &vec![0x55; data]), UNSUP, "{which} {data}");
        }
    }
    assert_eq!(one.verdict(LIST, &[1]), INVALID);
    assert_eq!(one.verdict(STRUCTURED, &[1]), INVALID);
    one.structured();
    one.structured();
    assert_eq!(one.go("", &[]).0, SIZE);
}

#[test]
fn a_client_may_leave() {
    for data in [&b""[..], b"whatever"] {
        let mut one = client();
        one.hello(3);
        assert_eq!(one.ask(ABORT, data), [(ACK, vec![])]);
        assert!(one.is_over());
    }
}

/// The contexts in an answer, with their numbers.
fn contexts(replies: &[(u32, Vec<u8>)]) -> Vec<(u32, String)> {
    let (last, all) = replies.split_last().unwrap();
    assert_eq!(*last, (ACK, vec![]));
    all.iter()
        .map(|(kind, data)| {
            assert_eq!(*kind, META);
            let id = u32::from_be_bytes(data[..4].try_into().unwrap());
            (id, String::from_utf8(data[4..].to_vec()).unwrap())
        })
        .collect()
}

#[test]
fn contexts_are_listed_and_chosen() {
    let (base, depth) = ("base:allocation", "qemu:allocation-depth");
    let mut one = client();
    one.hello(3);
    assert_eq!(one.verdict(SET_META, &meta_data("", &[base])), INVALID, "structured replies come first");
    one.structured();
    for (queries, listed, chosen) in [
        (vec![], vec![base, depth], vec![]),
        (vec!["base:"], vec![base], vec![]),
        (vec!["qemu:"], vec![depth], vec![]),
        (vec!["x-other:", "qemu:dirty-bitmap:", "qemu:dirty-bitmap:b"], vec![], vec![]),
        (vec![base], vec![base], vec![base]),
        (vec![depth, base, depth], vec![base, depth], vec![base, depth]),
        (vec!["base:none", "", ":", "base"], vec![], vec![]),
        (vec!["base:", "qemu:", depth], vec![base, depth], vec![depth]),
    ] {
        let data = meta_data("disk", &queries);
        let names: Vec<_> = contexts(&one.ask(LIST_META, &data)).into_iter().map(|c| c.1).collect();
        assert_eq!(names, listed, "{queries:?}");
        let set = contexts(&one.ask(SET_META, &data));
        let names: Vec<_> = set.iter().map(|c| &*c.1).collect();
        assert_eq!(names, chosen, "{queries:?}");
        assert!(set.windows(2).all(|pair| pair[0].0 != pair[1].0));
    }
    for which in [LIST_META, SET_META] {
        assert_eq!(one.verdict(which, &meta_data("other", &[base])), UNKNOWN);
        assert_eq!(one.verdict(which, &meta_data("", &[&"x".repeat(4097)])), TOO_BIG);
        assert_eq!(one.verdict(which, &[]), INVALID);
        assert_eq!(one.verdict(which, &[0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]), INVALID);
        assert_eq!(one.verdict(which, &[meta_data("", &[base]), vec![0]].concat()), INVALID);
    }
}

#[test]
fn contexts_are_those_of_the_last_choice_for_the_same_name() {
    let choose = meta_data("disk", &["base:allocation"]);
    let status = |name: &str, more: &[(u32, Vec<u8>)]| {
        let mut one = client();
        one.hello(3);
        one.structured();
        one.ask(SET_META, &choose);
        more.iter().for_each(|(which, data)| drop(one.ask(*which, data)));
        one.go(name, &[]);
        let found = one.status(0, 4096, 0, 1);
        one.read(0, 512).unwrap();
        found.map_err(|failed| failed.code)
    };
    assert_eq!(status("disk", &[]), Ok(vec![vec![(4096, 0)]]));
    assert_eq!(status("", &[]), Err(EINVAL), "chosen for another name");
    // Whatever fails or chooses nothing takes away what there was.
    assert_eq!(status("disk", &[(SET_META, meta_data("disk", &[]))]), Err(EINVAL));
    assert_eq!(status("disk", &[(SET_META, meta_data("other", &[]))]), Err(EINVAL));
    assert_eq!(status("disk", &[(SET_META, vec![1])]), Err(EINVAL));
    // Whatever only asks does not.
    let asks = [(LIST_META, meta_data("", &[])), (INFO, info_data("", &[])), (LIST, vec![])];
    assert_eq!(status("disk", &asks), Ok(vec![vec![(4096, 0)]]));
}
