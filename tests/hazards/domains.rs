//! libvirt domains that name a file.

use std::os::unix::fs::symlink;

use crate::stage::Stage;

#[test]
fn a_file_that_goes_away_needs_consent() {
    let stage = Stage::new();
    stage.define("web1", &stage.disk("Snap-2.qcow2"));
    for line in ["delete Snap-2.qcow2", "rename Snap-2.qcow2 new.qcow2", "commit Snap-2.qcow2"] {
        let said = stage.plan(line).said("named-by");
        assert!(said.len() == 1 && said[0].0 == "danger" && said[0].1.contains("domain web1"), "{said:?}");
        let answer = stage.run(&format!("{line} --yes")).expect(10);
        assert!(answer.err.contains("--accept named-by"), "{}", answer.err);
        assert!(stage.path("Snap-2.qcow2").exists());
    }
    stage.run("rename Snap-2.qcow2 new.qcow2 --yes --accept named-by").expect(0);
}

#[test]
fn an_emptied_leaf_stays_and_needs_none() {
    let stage = Stage::new();
    stage.define("web1", &stage.disk("Snap-4.qcow2"));
    let said = stage.plan("commit Snap-4.qcow2").said("named-by");
    assert!(said.len() == 1 && said[0].0 == "info" && said[0].1.contains("web1.xml"), "{said:?}");
    stage.run("commit Snap-4.qcow2 --yes").expect(0);
    stage.run("commit Snap-4.qcow2 --base Snap-2.qcow2 --remove --yes").expect(10);
}

#[test]
fn what_a_domain_will_see_is_a_warning() {
    let stage = Stage::new();
    stage.define("base", &stage.disk("Snap-3.qcow2"));
    stage.define("leaf", &stage.disk("Snap-4.qcow2"));
    let severities = |line: &str| -> Vec<String> {
        stage.plan(line).said("named-by").into_iter().map(|(severity, _)| severity).collect()
    };
    assert_eq!(severities("commit Snap-4.qcow2"), ["warning", "info"]);
    assert_eq!(severities("overlay Snap-4.qcow2 new.qcow2"), ["warning"]);
    assert_eq!(severities("commit Overlay-2.qcow2"), [""; 0]);
}

#[test]
fn a_chain_in_the_definition_does_not_follow() {
    let stage = Stage::new();
    let (top, below) = (stage.path("Snap-4.qcow2"), stage.path("Snap-3.qcow2"));
    let pinned = format!(
        "<disk><source file='{}'/><backingStore type='file'><format type='qcow2'/><source file='{}'/>\
         <backingStore/></backingStore></disk>",
        top.display(),
        below.display()
    );
    stage.define("web1", &pinned);
    let said = stage.plan("pull Snap-4.qcow2 --base Snap-2.qcow2").said("named-by");
    assert!(said.len() == 1 && said[0].0 == "warning" && said[0].1.contains("<backingStore>"), "{said:?}");
    let said = stage.plan("delete Snap-3.qcow2").said("named-by");
    assert_eq!(said.iter().filter(|(severity, _)| severity == "danger").count(), 1, "{said:?}");
}

#[test]
fn a_link_leads_to_the_same_file() {
    let stage = Stage::new();
    let link = stage.domains().join("link");
    symlink(stage.path("Snap-4.qcow2"), &link).unwrap();
    stage.define("web1", &format!("<disk><source file='{}'/></disk>", link.display()));
    assert_eq!(stage.plan("delete Snap-4.qcow2").said("named-by").len(), 1);
}

#[test]
fn tree_and_info_say_who() {
    let stage = Stage::new();
    stage.define("web1", &stage.disk("Snap-4.qcow2"));
    let tree = stage.run("tree --json").expect(0).json();
    let images = tree["images"].as_array().unwrap();
    for image in images {
        let named = image["path"] == stage.path("Snap-4.qcow2").to_str().unwrap();
        let domains = image["domains"].as_array().unwrap();
        assert_eq!(domains.len(), usize::from(named), "{image}");
        for one in domains {
            assert_eq!((&one["domain"], &one["role"]), (&"web1".into(), &"disk".into()));
        }
    }
    assert!(stage.run("tree").expect(0).out.contains("domain web1"));
    let info = stage.run("info Snap-4.qcow2").expect(0).out;
    assert!(info.contains("named by") && info.contains("web1.xml"), "{info}");
    assert_eq!(stage.run("info --json Snap-4.qcow2").expect(0).json()["domains"][0]["uuid"], "u-web1");
    assert_eq!(stage.run("info --json Snap-3.qcow2").expect(0).json()["domains"], serde_json::json!([]));
}

#[test]
fn names_of_domains_are_escaped() {
    let stage = Stage::new();
    // A carriage return, and a control sequence introducer.
    stage.define("x&#13;&#x9b;31m", &stage.disk("Snap-4.qcow2"));
    for line in ["tree", "info Snap-4.qcow2", "delete Snap-4.qcow2 --dry-run"] {
        let out = stage.run(line).expect(0).out;
        assert!(
            out.contains("\\u{9b}31m") && !out.contains('\u{9b}') && !out.contains('\r'),
            "{line}: {out}"
        );
    }
}

#[test]
fn whatever_lies_in_the_folder_only_costs_a_note() {
    let stage = Stage::new();
    let folder = stage.domains();
    let pipe = std::process::Command::new("mkfifo").arg(folder.join("pipe.xml")).status();
    assert!(pipe.unwrap().success());
    symlink("/dev/zero", folder.join("zero.xml")).unwrap();
    symlink("pipe.xml", folder.join("link.xml")).unwrap();
    std::fs::write(folder.join("garbage.xml"), b"<domain><name>\xff").unwrap();
    std::fs::write(folder.join("large.xml"), vec![b' '; (1 << 20) + 1]).unwrap();
    std::fs::create_dir_all(folder.join("networks")).unwrap();
    std::fs::write(folder.join("networks/default.xml"), "<network><name>default</name></network>").unwrap();
    stage.define("web1", &stage.disk("Snap-4.qcow2"));
    let said = stage.plan("commit Snap-4.qcow2").said("named-by");
    assert_eq!(said.len(), 2, "{said:?}");
    let (severity, unread) = said.iter().find(|(_, what)| what.contains("could not be read")).unwrap();
    assert!(severity == "info" && unread.contains("garbage.xml") && unread.contains("large.xml"), "{unread}");
    assert!(!unread.contains("pipe") && !unread.contains("zero") && !unread.contains("default"), "{unread}");
    stage.run("commit Snap-4.qcow2 --yes").expect(0);
}

#[test]
fn a_folder_that_cannot_be_read_is_told_about() {
    let stage = Stage::new();
    // What anybody but root sees as a folder without permission.
    std::fs::remove_dir(stage.domains()).unwrap();
    std::fs::write(stage.domains(), "").unwrap();
    let said = stage.plan("commit Snap-4.qcow2").said("named-by");
    let folder = stage.domains().display().to_string();
    assert!(said.len() == 1 && said[0].0 == "info" && said[0].1.contains(&folder), "{said:?}");
    // One that is not there is one where nothing is.
    std::fs::remove_file(stage.domains()).unwrap();
    assert!(stage.plan("commit Snap-4.qcow2").said("named-by").is_empty());
}
