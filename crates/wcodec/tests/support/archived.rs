//! Copies and entries, put together by hand.

use super::based::Based;
use super::forge::{Forge, raw};

fn elements() -> Vec<u8> {
    (0..128u32).map(|i| (i * i % 11) as u8).collect()
}

/// A file of equal segments of 128 elements, all but the first without blocks, and its copies.
pub struct Copied {
    pub minor: u8,
    pub copies: Vec<(u32, u32)>,
    /// How many more of them the footer announces.
    pub more: u8,
    pub base: Option<Based>,
    pub forge: Forge,
}

/// A file of three segments of 128 elements, all with blocks, of which the last refers to the second, as changed.
pub fn own(change: impl FnOnce(&mut Copied, &mut Based)) -> Vec<u8> {
    copied(3, |c| {
        c.copies.clear();
        let block = c.forge.segments[0].blocks[0].clone();
        c.forge.segments[1..].iter_mut().for_each(|segment| segment.blocks.push(block.clone()));
        let mut base = Based { bases: 0, segment: 2, at: 128, ..Based::sound() };
        (base.repeat.0, base.reference[0]) = (0, 255);
        change(c, &mut base);
        c.base = Some(base);
    })
}

pub fn copied(segments: usize, change: impl FnOnce(&mut Copied)) -> Vec<u8> {
    let mut forge = Forge::new(raw(&elements()));
    let mut copy = forge.segments[0].clone();
    copy.blocks.clear();
    forge.segments.resize(segments, copy);
    forge.original = elements().repeat(segments);
    let copies = (1..segments as u32).map(|segment| (segment, 0)).collect();
    let mut copied = Copied { minor: 4, copies, more: 0, base: None, forge };
    change(&mut copied);
    let Copied { minor, copies, more, base, mut forge } = copied;
    forge.header[10] = minor;
    let (mut records, mut counts) = (Vec::new(), (0, 0));
    if let Some(base) = base {
        records = base.records();
        counts = (base.bases, base.references + u8::from(base.second.is_some()));
    }
    let numbers = copies.iter().flat_map(|&(segment, source)| [segment, source]);
    records.extend(numbers.flat_map(u32::to_le_bytes));
    forge.edit_directory = Box::new(move |directory| directory.extend(&records));
    forge.edit_footer = Box::new(move |footer| {
        (footer[92], footer[96]) = counts;
        let copies = copies.len() as u32 + u32::from(more);
        footer[100..104].copy_from_slice(&copies.to_le_bytes());
    });
    forge.build()
}

/// A file of 256 copies of a segment of one-byte blocks.
fn blocks_of_copies(blocks: u32) -> Vec<u8> {
    copied(257, |c| {
        let bytes = [1].repeat(blocks as usize);
        for segment in &mut c.forge.segments {
            segment.block = (1, 1);
            (segment.elements, segment.rows, segment.cols) = (blocks.into(), blocks.into(), 1);
        }
        c.forge.segments[0].blocks = bytes.iter().map(|&byte| raw(&[byte])).collect();
        c.forge.original = bytes.repeat(257);
    })
}

/// As many blocks as copies may have.
pub fn most_blocks_of_copies() -> Vec<u8> {
    // 256 * 264 = 65,536 + 8 * 256 + 0; the bytes would allow 16 more, which are no block of each copy.
    blocks_of_copies(264)
}

/// An entry as it lies in the directory.
#[derive(Clone)]
pub struct Entry {
    pub blake3: [u8; 32],
    pub bytes: u64,
    pub kind: u8,
    pub executable: u8,
    pub source: u8,
    pub zero: u8,
    pub path: Vec<u8>,
}

impl Entry {
    fn file(path: &str, content: &[u8]) -> Entry {
        Entry {
            blake3: *blake3::hash(content).as_bytes(),
            bytes: content.len() as u64,
            kind: 0,
            executable: 0,
            source: 0,
            zero: 0,
            path: path.into(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.blake3);
        out.extend(self.bytes.to_le_bytes());
        out.extend((self.path.len() as u16).to_le_bytes());
        out.extend([self.kind, self.executable, self.source, 0, 0, self.zero]);
        out.extend(&self.path);
    }
}

/// An archive of a file of 128 bytes, an empty folder, and an empty file.
pub struct Archived {
    pub entries: Vec<Entry>,
    pub more: u8,
    pub forge: Forge,
}

pub fn archived(change: impl FnOnce(&mut Archived)) -> Vec<u8> {
    let mut forge = Forge::new(raw(&elements()));
    forge.source = 7;
    forge.header[10] = 4;
    let folder = Entry { blake3: [0; 32], kind: 1, ..Entry::file("b/folder", b"") };
    let entries = vec![Entry::file("a/file", &elements()), folder, Entry::file("c", b"")];
    let mut archived = Archived { entries, more: 0, forge };
    change(&mut archived);
    let Archived { entries, more, mut forge } = archived;
    let mut records = Vec::new();
    entries.iter().for_each(|entry| entry.write(&mut records));
    forge.edit_directory = Box::new(move |directory| directory.extend(&records));
    let count = entries.len() as u8 + more;
    forge.edit_footer = Box::new(move |footer| footer[104] = count);
    forge.build()
}

/// The archive with another path of its first file.
fn path(path: impl AsRef<[u8]>) -> Vec<u8> {
    archived(|a| a.entries[0].path = path.as_ref().to_vec())
}

pub fn cases() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("copy_version", copied(2, |c| c.minor = 3)),
        ("copies_short", copied(2, |c| c.more = 1)),
        ("copies_unbacked", copied(2, |c| c.more = 200)),
        ("copy_segment", copied(2, |c| c.copies[0].0 = 2)),
        ("copy_source", copied(2, |c| c.copies[0].1 = u32::MAX)),
        ("copy_of_itself", copied(2, |c| c.copies[0].1 = 1)),
        ("copy_of_a_later_one", copied(2, |c| c.copies[0] = (0, 1))),
        ("copy_of_a_copy", copied(3, |c| c.copies[1].1 = 1)),
        ("copy_order", copied(3, |c| c.copies.swap(0, 1))),
        ("copy_twice", copied(2, |c| c.copies.push((1, 0)))),
        ("copy_cut", copied(2, |c| c.forge.segments[1].scan = 1)),
        ("copy_with_blocks", copied(2, |c| c.forge.segments[1].blocks.push(raw(&elements())))),
        ("copy_missing", copied(2, |c| c.copies.clear())),
        ("copy_with_base", copied(2, |c| c.base = Some(Based { segment: 1, ..Based::sound() }))),
        ("copies_of_many_blocks", blocks_of_copies(265)),
        ("copy_of_other_bytes", copied(2, |c| c.forge.original[130] ^= 1)),
        ("own_later", own(|_, b| b.at = 256)),
        ("own_itself", own(|_, b| b.at = 129)),
        ("own_in_two_segments", own(|_, b| b.at = 64)),
        ("own_before_all", own(|_, b| b.segment = 0)),
        ("own_wrap", own(|_, b| b.at = u64::MAX)),
        (
            "own_cut",
            own(|c, _| {
                c.forge.segments[1].group_bands = 2;
            }),
        ),
        (
            "own_size",
            own(|c, _| {
                // 128 elements of two bytes, cut as those of one are.
                let segment = &mut c.forge.segments[1];
                segment.element = 8;
                segment.blocks = vec![raw(&elements().repeat(2))];
                c.forge.original.extend(elements());
            }),
        ),
        ("own_other_number", own(|_, b| b.reference[0] = 254)),
        // The second one refers to the first.
        ("own_of_own", own(|_, b| b.second = Some((1, 0)))),
        (
            "own_of_a_copy_of_own",
            own(|c, b| {
                // 0; 1 refers to 0; 2 is a copy of 1; 3 refers to 2.
                let last = c.forge.segments[2].clone();
                c.forge.segments[2].blocks.clear();
                c.forge.segments.push(last);
                c.forge.original = elements().repeat(4);
                c.copies.push((2, 1));
                (b.segment, b.at, b.second) = (3, 256, Some((1, 0)));
            }),
        ),
        ("entries_of_no_archive", archived(|a| a.forge.source = 1)),
        ("entries_short", archived(|a| a.more = 1)),
        ("entries_unbacked", archived(|a| a.more = 200)),
        ("entry_kind", archived(|a| a.entries[1].kind = 2)),
        ("entry_executable", archived(|a| a.entries[0].executable = 2)),
        ("entry_reserved", archived(|a| a.entries[0].zero = 1)),
        ("entry_source", archived(|a| a.entries[0].source = 8)),
        ("entry_source_archive", archived(|a| a.entries[0].source = 7)),
        ("entry_source_layer", archived(|a| a.entries[0].source = 3)),
        ("entry_folder_hash", archived(|a| a.entries[1].blake3[5] = 1)),
        ("entry_folder_executable", archived(|a| a.entries[1].executable = 1)),
        ("entry_folder_source", archived(|a| a.entries[1].source = 1)),
        (
            "entry_folder_bytes",
            archived(|a| {
                a.entries[1].bytes = 128;
                a.entries[0].bytes = 0;
            }),
        ),
        ("entry_hash", archived(|a| a.entries[0].blake3[0] ^= 1)),
        ("entry_hash_empty", archived(|a| a.entries[2].blake3[31] ^= 1)),
        ("entry_bytes_short", archived(|a| a.entries[0].bytes = 127)),
        ("entry_bytes_long", archived(|a| a.entries[0].bytes = 129)),
        ("entry_bytes_none", archived(|a| a.entries[0].bytes = 0)),
        ("entry_bytes_wrap", archived(|a| a.entries[2].bytes = u64::MAX - 127)),
        ("entries_none", archived(|a| a.entries.clear())),
        ("entry_path_empty", path("")),
        ("entry_path_long", path("a/".repeat(2048) + "a")),
        ("entry_path_deep", path("a/".repeat(64) + "a")),
        ("entry_path_utf8", path(b"a\xff")),
        ("entry_path_absolute", path("/a")),
        ("entry_path_parent", path("a/../../b")),
        ("entry_path_parent_alone", path("..")),
        ("entry_path_dot", path("./a")),
        ("entry_path_slashes", path("a//b")),
        ("entry_path_slash_behind", path("a/")),
        ("entry_path_part_long", path("a".repeat(256))),
        ("entry_path_nul", path("a\0b")),
        ("entry_path_backslash", path("a\\..\\b")),
        ("entry_path_drive", path("c:/a")),
        ("entry_path_order", path("d")),
        ("entry_path_order_of_parts", path("b-/a")),
        ("entry_path_twice", path("b/folder")),
        ("entry_path_through_folder", archived(|a| a.entries[2].path = b"b/folder/c".to_vec())),
        ("entry_path_through_file", archived(|a| a.entries[1].path = b"a/file/b".to_vec())),
    ]
}
