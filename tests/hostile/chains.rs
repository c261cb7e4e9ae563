//! Chains that come back to themselves, or never end.

use std::fs;

use crate::case::{Case, Verdict, scene, sound};
use crate::qcow2::Qcow2;
use crate::qed;
use crate::stage::Stage;

const LOOP: &str = "loop";

fn looped() -> Verdict {
    Verdict { map: (13, LOOP), cat: (13, LOOP), tree: "leads back", commit: (13, LOOP), ..sound() }
}

fn over(stage: &Stage, name: &str, target: &str, format: &'static str) {
    stage.put(name, &Qcow2::over(target, Some(format)).build());
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        scene("chain/to_itself", looped(), &[], |s| over(s, "x.img", "x.img", "qcow2")),
        scene("chain/to_itself_through_the_folder", looped(), &[], |s| {
            over(s, "x.img", "../herd/./x.img", "qcow2")
        }),
        scene("chain/a_b_a", looped(), &["b"], |s| {
            over(s, "x.img", "b", "qcow2");
            over(s, "b", "x.img", "qcow2");
        }),
        scene("chain/a_b_c_b", looped(), &["b", "c"], |s| {
            over(s, "x.img", "b", "qcow2");
            over(s, "b", "c", "qcow2");
            over(s, "c", "b", "qcow2");
        }),
        scene("chain/through_a_link", looped(), &["link"], |s| {
            over(s, "x.img", "link", "qcow2");
            s.link("x.img", "link");
        }),
        scene("chain/through_a_hard_link", looped().tree(""), &["y"], |s| {
            over(s, "x.img", "y", "qcow2");
            fs::hard_link(s.herd.join("x.img"), s.herd.join("y")).unwrap();
        }),
        scene("chain/qed_to_itself", looped(), &[], |s| s.put("x.img", &qed::over(b"x.img", false))),
        scene("chain/qcow2_qed_qcow2", looped(), &["b"], |s| {
            over(s, "x.img", "b", "qed");
            s.put("b", &qed::over(b"x.img", false));
        }),
        deep("chain/256_deep", 256, sound().commit(13, "deeper than 256")),
        deep("chain/257_deep", 257, too_deep()),
        deep("chain/300_deep", 300, too_deep()),
    ]
}

fn too_deep() -> Verdict {
    let words = "deeper than 256";
    Verdict { map: (13, words), cat: (13, words), tree: "more than 256", commit: (13, words), ..sound() }
}

fn deep(name: &str, depth: usize, verdict: Verdict) -> Case {
    let names: Vec<String> = (1..depth).map(|i| format!("l{i}")).collect();
    let may_open: Vec<&str> = names.iter().map(String::as_str).collect();
    scene(name, verdict, &may_open, move |stage| {
        for i in 0..depth {
            let name = if i == 0 { "x.img".to_owned() } else { format!("l{i}") };
            match i + 1 < depth {
                true => over(stage, &name, &format!("l{}", i + 1), "qcow2"),
                false => stage.put(&name, &Qcow2::default().build()),
            }
        }
    })
}
