//! Any bytes as an original, as the inside of a model, or as a pickle in a checkpoint of either format: layers lie in the
//! file one behind the other, have the size that they say, and different names.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wcodec::ReadAt;

/// Bytes that are read like those of a file.
struct OnDisk(Vec<u8>);

impl ReadAt for OnDisk {
    fn size(&self) -> std::io::Result<u64> {
        self.0.size()
    }

    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> std::io::Result<()> {
        self.0.read_exact_at(buffer, at)
    }
}

/// A model around the fields of a graph.
fn onnx(graph: &[u8]) -> Vec<u8> {
    let mut file = vec![0x08, 8, 0x3a];
    let len = graph.len() + 4;
    file.extend([len as u8 | 0x80, (len >> 7) as u8 | 0x80, (len >> 14) as u8]);
    file.extend([0x12, 2, b'g', b'0']);
    file.extend(graph);
    file
}

/// A checkpoint of the legacy format; storages are named and sized by what the pickle is followed by.
fn legacy(pickle: &[u8]) -> Vec<u8> {
    let mut file =
        b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.".to_vec();
    file.extend(b"\x80\x02}X\x0d\0\0\0little_endian\x88s.");
    file.extend(pickle);
    file
}

/// An archive of stored members.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let at = file.len() as u32;
        // Flags, method, time, date and CRC are 0 and not looked at.
        let mut common = vec![0; 12];
        common.extend((data.len() as u32).to_le_bytes().repeat(2));
        common.extend([name.len() as u8, 0, 0, 0]);
        file.extend(b"PK\x03\x04\x14\0");
        file.extend(&common);
        file.extend(name.as_bytes());
        file.extend(*data);
        directory.extend(b"PK\x01\x02\x14\0\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let at = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend((members.len() as u16).to_le_bytes().repeat(2));
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(at.to_le_bytes());
    file.extend([0, 0]);
    file
}

fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    let file = match kind % 4 {
        0 => bytes.to_vec(),
        1 => onnx(bytes),
        2 => legacy(bytes),
        _ => zip(&[("a/data.pkl", bytes), ("a/data/0", &[7; 64]), ("a/data/1", &[9; 24])]),
    };
    let kind = wcodec::fuzzing::source(&file);
    assert_eq!(kind, wcodec::fuzzing::source(&OnDisk(file)), "memory and disk disagree");
});
