//! One file of libvirt's: which image files the domain in it names.
//!
//! Understood are the definition of a domain, the state of a running one (`domstatus`) and the record of
//! a snapshot (`domainsnapshot`). The content is not trusted: no document type, hence no entities, a
//! bounded number of nodes, and only known paths down the tree are walked, each element once.

use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

use super::domain_use::{DomainRole, DomainUse};

/// Elements and texts of a file at most; a domain has some hundreds.
const MAX_NODES: u32 = 100_000;

/// The files that `text` (the content of `from`) names; none when it is about something else, such as a
/// network. `None` when it cannot be understood.
pub(super) fn uses(text: &str, from: &Path) -> Option<Vec<DomainUse>> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).ok()?;
    let root = document.root_element();
    let mut found = Vec::new();
    match root.tag_name().name() {
        "domain" => domain(root, &owner(root, from), &mut found),
        "domstatus" => {
            for running in children(root, "domain") {
                let like = DomainUse { running: true, ..owner(running, from) };
                domain(running, &like, &mut found);
            }
        }
        "domainsnapshot" => {
            let before: Vec<_> =
                ["domain", "inactiveDomain"].iter().flat_map(|name| children(root, name)).collect();
            let Some(first) = before.first() else { return Some(found) };
            let like = DomainUse { role: DomainRole::Snapshot, ..owner(*first, from) };
            before.iter().for_each(|node| domain(*node, &like, &mut found));
            let disks = children(root, "disks").flat_map(|disks| children(disks, "disk"));
            disks.for_each(|node| disk(node, &like, &mut found));
        }
        _ => {}
    }
    Some(found)
}

fn children<'a>(of: Node<'a, 'a>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    of.children().filter(move |node| node.has_tag_name(name))
}

fn child<'a>(of: Node<'a, 'a>, name: &'static str) -> Option<Node<'a, 'a>> {
    children(of, name).next()
}

fn content(of: Node<'_, '_>) -> Option<String> {
    of.text().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// What all that a domain names has in common.
fn owner<'a>(domain: Node<'a, 'a>, from: &Path) -> DomainUse {
    DomainUse {
        domain: child(domain, "name").and_then(content).unwrap_or_default(),
        uuid: child(domain, "uuid").and_then(content),
        role: DomainRole::Disk,
        file: String::new(),
        format: None,
        running: false,
        pins_backing: false,
        from: from.to_path_buf(),
    }
}

fn domain<'a>(domain: Node<'a, 'a>, like: &DomainUse, found: &mut Vec<DomainUse>) {
    for node in children(domain, "devices").flat_map(|devices| children(devices, "disk")) {
        disk(node, like, found);
    }
    let like = in_role(like, DomainRole::Firmware);
    for os in children(domain, "os") {
        for part in ["loader", "nvram"].iter().flat_map(|name| children(os, name)) {
            let file = child(part, "source").and_then(file_of).or_else(|| content(part));
            note(file, part.attribute("format"), &like, found);
        }
    }
}

/// A disk, what libvirt recorded to lie below it, and what a block job copies it to.
fn disk<'a>(disk: Node<'a, 'a>, like: &DomainUse, found: &mut Vec<DomainUse>) {
    // An empty element ends a chain; one with a source is followed whatever the image itself names.
    let mut below = child(disk, "backingStore").filter(|store| child(*store, "source").is_some());
    let pins_backing = below.is_some() && !like.running;
    store(disk, &DomainUse { pins_backing, ..like.clone() }, found);
    for mirror in children(disk, "mirror") {
        store(mirror, &in_role(like, DomainRole::Mirror), found);
    }
    let like = in_role(like, DomainRole::Backing);
    while let Some(node) = below {
        store(node, &like, found);
        below = child(node, "backingStore");
    }
}

/// Notes the file of an element that has a source and, as another element, a format.
fn store<'a>(of: Node<'a, 'a>, like: &DomainUse, found: &mut Vec<DomainUse>) {
    let format = child(of, "driver").or_else(|| child(of, "format")).and_then(|node| node.attribute("type"));
    note(child(of, "source").and_then(file_of), format, like, found);
}

fn file_of(source: Node<'_, '_>) -> Option<String> {
    source.attribute("file").or_else(|| source.attribute("dev")).map(str::to_owned)
}

/// What the record of a snapshot names is named by that record, whatever the disk was to the domain.
fn in_role(like: &DomainUse, role: DomainRole) -> DomainUse {
    let role = if like.role == DomainRole::Snapshot { like.role } else { role };
    DomainUse { role, ..like.clone() }
}

fn note(file: Option<String>, format: Option<&str>, like: &DomainUse, found: &mut Vec<DomainUse>) {
    // libvirt takes no relative names.
    if let Some(file) = file.filter(|file| file.starts_with('/')) {
        found.push(DomainUse { file, format: format.map(str::to_owned), ..like.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Option<Vec<(String, DomainRole, Option<String>)>> {
        let found = uses(text, Path::new("/x.xml"))?;
        Some(found.into_iter().map(|u| (u.file, u.role, u.format)).collect())
    }

    const DISKS: &str = "<os><loader type='pflash' format='raw'>/fw/code.fd</loader>
        <nvram><source file='/fw/vars.fd'/></nvram></os>
        <devices><disk><driver name='qemu' type='qcow2'/><source file='/d/top.qcow2'/>
        <backingStore type='file'><format type='qcow2'/><source file='/d/mid.qcow2'/>
        <backingStore type='block'><format type='raw'/><source dev='/dev/vg/base'/><backingStore/>
        </backingStore></backingStore>
        <mirror><format type='raw'/><source file='/d/copy.img'/></mirror></disk>
        <disk><source protocol='rbd' name='pool/x'/></disk><disk><source file='relative.img'/></disk>
        <interface><source file='/no/disk'/></interface></devices>";

    #[test]
    fn a_domain_names_disks_chains_copies_and_firmware() {
        use DomainRole::{Backing, Disk, Firmware, Mirror};
        let some = |file: &str, role, format: &str| (file.to_owned(), role, Some(format.to_owned()));
        let expected = vec![
            some("/d/top.qcow2", Disk, "qcow2"),
            some("/d/copy.img", Mirror, "raw"),
            some("/d/mid.qcow2", Backing, "qcow2"),
            some("/dev/vg/base", Backing, "raw"),
            some("/fw/code.fd", Firmware, "raw"),
            ("/fw/vars.fd".to_owned(), Firmware, None),
        ];
        assert_eq!(seen(&format!("<domain><name>a</name>{DISKS}</domain>")), Some(expected));
    }

    #[test]
    fn who_names_it_is_known() {
        let domain = format!("<domain type='kvm'><name> web </name><uuid>7</uuid>{DISKS}</domain>");
        let all = uses(&domain, Path::new("/x.xml")).unwrap_or_default();
        assert!(all.iter().all(|u| u.domain == "web" && u.uuid.as_deref() == Some("7") && !u.running));
        assert!(all[0].pins_backing && all[1..].iter().all(|u| !u.pins_backing));
        let status = format!("<domstatus state='running'>{domain}</domstatus>");
        let all = uses(&status, Path::new("/x.xml")).unwrap_or_default();
        assert!(!all.is_empty() && all.iter().all(|u| u.running && !u.pins_backing));
        let taken = "<disks><disk name='vda'><source file='/d/new.qcow2'/></disk></disks>";
        let record = format!("<domainsnapshot><name>s1</name>{taken}{domain}</domainsnapshot>");
        let all = uses(&record, Path::new("/x.xml")).unwrap_or_default();
        assert!(all.iter().all(|u| u.domain == "web" && u.role == DomainRole::Snapshot));
        assert!(all.iter().any(|u| u.file == "/d/new.qcow2"));
    }

    #[test]
    fn what_is_no_domain_names_nothing() {
        assert_eq!(seen("<network><name>default</name></network>"), Some(Vec::new()));
        assert_eq!(seen("<domain/>"), Some(Vec::new()));
        assert_eq!(seen("<domainsnapshot/>"), Some(Vec::new()));
        assert_eq!(seen("not XML"), None);
        assert_eq!(seen("<domain>"), None);
    }

    #[test]
    fn bombs_are_refused() {
        let entities =
            "<!DOCTYPE d [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><domain><name>&b;</name></domain>";
        assert_eq!(seen(entities), None);
        assert_eq!(seen(&format!("<domain>{}</domain>", "<a/>".repeat(MAX_NODES as usize))), None);
        let deep = MAX_NODES as usize / 2;
        let nested = format!("<domain>{}{}</domain>", "<a>".repeat(deep), "</a>".repeat(deep));
        assert!(seen(&nested).is_none_or(|found| found.is_empty()));
    }
}
