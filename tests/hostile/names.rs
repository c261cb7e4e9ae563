//! Backing names: what an image may ask for, and what it gets.

use crate::build::Bytes;
use crate::case::{Case, Verdict, refused, scene, sound};
use crate::qcow2::{CLUSTER, Qcow2, v3};
use crate::stage::Stage;

pub(crate) fn cases() -> Vec<Case> {
    let mut all: Vec<Case> = [
        ("json", "json:{\"driver\":\"raw\",\"file.filename\":\"/etc/shadow\"}", "is a json reference"),
        ("json_empty", "json:{}", "is a json reference"),
        ("nbd", "nbd://127.0.0.1/x", "is a nbd reference"),
        ("ssh", "ssh://127.0.0.1/x", "is a ssh reference"),
        ("fd", "fd:3", "is a fd reference"),
        ("file", "file:/etc/passwd", "is a file reference"),
        ("fat", "fat:rw:/etc", "is a fat reference"),
        ("colon_first", ":x", "reference"),
        ("dev_fd", "/dev/fd/0", "ordinary file system"),
        ("dev_zero", "/dev/zero", "ordinary file system"),
        ("dev_tty", "/dev/tty", "ordinary file system"),
        ("proc_exe", "/proc/self/exe", "allow"),
        ("proc_mem", "/proc/self/mem", "ordinary file system"),
        ("sys", "/sys/kernel/notes", "ordinary file system"),
        ("etc_passwd", "/etc/passwd", "--allow"),
        ("dots", "../outside/secret", "--allow"),
        ("dots_image", "../outside/image.qcow2", "--allow"),
        ("many_dots", "../../../../../../../../../../../../etc/passwd", "--allow"),
        ("folder", ".", "not a regular file"),
        ("root", "/", "not a regular file"),
    ]
    .into_iter()
    .map(|(name, target, words)| {
        scene(format!("backing/{name}"), gate(words), &[], move |stage| over(stage, target))
    })
    .collect();
    all.extend(special_files());
    all.extend(fields());
    all.extend(shown());
    all
}

fn over(stage: &Stage, target: &str) {
    stage.put("x.img", &Qcow2::over(target, Some("raw")).build());
}

/// Only what the header says is told; the name is not followed.
fn gate(words: &'static str) -> Verdict {
    Verdict { map: (13, words), cat: (13, words), tree: words, commit: (13, words), ..sound() }
}

/// Not found is no refusal: whoever can, puts the file there.
fn missing(words: &'static str) -> Verdict {
    Verdict { map: (1, words), cat: (1, words), tree: words, commit: (1, words), ..sound() }
}

fn special_files() -> Vec<Case> {
    vec![
        scene("backing/fifo", gate("not a regular file"), &[], |stage| {
            stage.fifo("pipe");
            over(stage, "pipe");
        }),
        scene("backing/socket", gate("not a regular file"), &[], |stage| {
            stage.socket("socket");
            over(stage, "socket");
        }),
        scene("backing/link_outside", gate("--allow"), &[], |stage| {
            stage.link("../outside/secret", "link");
            over(stage, "link");
        }),
        scene("backing/link_to_folder_outside", gate("--allow"), &[], |stage| {
            stage.link("../outside", "link");
            over(stage, "link/secret");
        }),
        scene("backing/link_to_device", gate("ordinary file system"), &[], |stage| {
            stage.link("/dev/zero", "link");
            over(stage, "link");
        }),
        scene("backing/link_to_itself", missing("link"), &[], |stage| {
            stage.link("link", "link");
            over(stage, "link");
        }),
        scene("backing/link_to_nothing", missing("gone"), &[], |stage| over(stage, "gone")),
        scene("backing/raw_that_looks_like_qcow2", sound(), &["base"], |stage| {
            // What a guest wrote into its raw disk; the format is recorded, so nobody believes it.
            stage.put("base", &Qcow2::over("../outside/secret", Some("raw")).build());
            over(stage, "base");
        }),
        scene(
            "backing/qcow2_that_is_raw",
            refused("wrong magic").info(0, "").check(0, "").tree("recorded as qcow2"),
            &["base"],
            |stage| {
                stage.put("base", &Bytes::new(vec![0x55; 1 << 20]));
                stage.put("x.img", &Qcow2::over("base", Some("qcow2")).build());
            },
        ),
        scene(
            "backing/no_format",
            sound().tree("no backing format is recorded").commit(0, ""),
            &["base"],
            |stage| {
                stage.put("base", &Bytes::new(vec![0x55; 1 << 20]));
                stage.put("x.img", &Qcow2::over("base", None).build());
            },
        ),
        scene("backing/unknown_format", gate("vmdk"), &["base"], |stage| {
            stage.put("base", &Bytes::new(vec![0x55; 1 << 20]));
            stage.put("x.img", &Qcow2::over("base", Some("vmdk")).build());
        }),
    ]
}

fn fields() -> Vec<Case> {
    let with = |name: &[u8]| Qcow2::over(name, Some("raw")).build();
    let case = crate::case::case;
    vec![
        case("backing_field/name_of_1024", v3().be64(8, 1000).be32(16, 1024), refused("backing_file_size")),
        case(
            "backing_field/name_of_4_gib",
            v3().be64(8, 1000).be32(16, u32::MAX),
            refused("backing_file_size"),
        ),
        case("backing_field/empty_name", v3().be64(8, 1000).be32(16, 0), refused("backing_file_size")),
        case(
            "backing_field/outside_cluster_0",
            v3().be64(8, CLUSTER - 4).be32(16, 8),
            refused("outside the first cluster"),
        ),
        case(
            "backing_field/in_the_header",
            v3().be64(8, 24).be32(16, 8),
            refused("outside the first cluster"),
        ),
        case(
            "backing_field/offset_2_64_minus_1",
            v3().be64(8, u64::MAX).be32(16, 8),
            refused("outside the first cluster"),
        ),
        case(
            "backing_field/offset_past_eof",
            v3().be64(8, 1 << 40).be32(16, 8),
            refused("outside the first cluster"),
        ),
        case("backing_field/nul_inside", with(b"ba\0se"), refused("NUL byte")),
        case("backing_field/nul_at_the_end", with(b"base\0"), refused("NUL byte")),
        case("backing_field/size_without_offset", v3().be32(16, 77), sound()),
    ]
}

fn shown() -> Vec<Case> {
    let case = crate::case::case;
    let with = |name: &[u8]| Qcow2::over(name, Some("raw")).build();
    vec![
        case("backing_text/not_utf8", with(b"\xff\xfe\x80"), missing("cannot be reached")),
        case(
            "backing_text/escape",
            with(b"\x1b]52;c;x\x07"),
            missing("\\u{1b}]52;c;x\\u{7}").info(0, "\\u{1b}]52;c;x\\u{7}"),
        ),
        case(
            "backing_text/bidi",
            with("a\u{202e}gpj.exe".as_bytes()),
            missing("a\\u{202e}gpj.exe").info(0, "\\u{202e}"),
        ),
        case("backing_text/c1", with("a\u{9b}31mb".as_bytes()), missing("\\u{9b}").info(0, "\\u{9b}")),
        case("backing_text/newlines", with(b"a\r\nb\tc"), missing("a\\r\\nb\\tc").info(0, "a\\r\\nb\\tc")),
        case("backing_text/longest", with(&[b'a'; 1023]), missing("cannot be reached")),
        case(
            "backing_text/format_with_escapes",
            Qcow2::over("gone", Some("\x1b[2J\u{202e}")).build(),
            gate("\\u{1b}[2J").tree("gone").info(0, "\\u{1b}[2J").map(13, "\\u{1b}[2J"),
        ),
    ]
}
