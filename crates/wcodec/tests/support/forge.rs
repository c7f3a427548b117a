//! Puts `.wcodec` files together field by field, with the right hashes around wrong fields.
//! Written from docs/FORMAT.md; it does not use the library.

use std::hash::Hasher as _;
use twox_hash::XxHash3_64;

#[derive(Clone)]
pub struct Block {
    pub mode: u8,
    pub payload: Vec<u8>,
    pub head: usize,
    pub decoded: Vec<u8>,
    /// Added to the right checksum.
    pub checksum_error: u64,
}

#[derive(Clone)]
pub struct Segment {
    pub element: u8,
    pub scan: u8,
    pub side: u8,
    pub zero: u8,
    pub tile: (u16, u16),
    pub block: (u32, u32),
    pub group_bands: u32,
    pub zero2: u32,
    pub elements: u64,
    pub rows: u64,
    pub cols: u64,
    pub blocks: Vec<Block>,
}

#[derive(Clone)]
pub struct LayerEntry {
    pub name: Vec<u8>,
    pub dtype: Vec<u8>,
    pub shape: Vec<u64>,
    pub zero: u16,
    pub segment: u32,
    pub zero2: u32,
    pub offset: u64,
    pub length: u64,
}

pub type Edit = Box<dyn Fn(&mut Vec<u8>)>;

/// A file to be; `edit_*` change a part before the hash is made, `edit_file` afterwards.
pub struct Forge {
    pub header: Vec<u8>,
    pub segments: Vec<Segment>,
    /// Layouts and packings: how many there are, and their bytes.
    pub packings: (u32, u32, Vec<u8>),
    pub layers: Vec<LayerEntry>,
    pub original: Vec<u8>,
    pub source: u8,
    pub zstd: bool,
    pub edit_table: Edit,
    pub edit_directory: Edit,
    pub edit_footer: Edit,
    pub edit_file: Edit,
}

fn nothing() -> Edit {
    Box::new(|_| ())
}

pub fn raw(data: &[u8]) -> Block {
    Block { mode: 0, payload: data.to_vec(), head: 0, decoded: data.to_vec(), checksum_error: 0 }
}

impl Forge {
    /// One I8 layer "w" of 4 rows in one block.
    pub fn new(block: Block) -> Forge {
        let original = block.decoded.clone();
        let elements = original.len() as u64;
        let cols = elements / 4;
        let segment = Segment {
            element: 3,
            scan: 0,
            side: 0,
            zero: 0,
            tile: (16, 16),
            block: (4, cols as u32),
            group_bands: 1,
            zero2: 0,
            elements,
            rows: 4,
            cols,
            blocks: vec![block],
        };
        let layer = LayerEntry {
            name: b"w".to_vec(),
            dtype: b"I8".to_vec(),
            shape: vec![4, cols],
            zero: 0,
            segment: 0,
            zero2: 0,
            offset: 0,
            length: elements,
        };
        let mut header = b"\x89WCOD\r\n\x1a\x01\0\0\0".to_vec();
        header.resize(64, 0);
        Forge {
            header,
            segments: vec![segment],
            packings: (0, 0, vec![]),
            layers: vec![layer],
            original,
            source: 3,
            zstd: false,
            edit_table: nothing(),
            edit_directory: nothing(),
            edit_footer: nothing(),
            edit_file: nothing(),
        }
    }

    pub fn build(&self) -> Vec<u8> {
        let mut file = self.header.clone();
        let (mut table, mut directory, mut blocks) = (Vec::new(), Vec::new(), 0u64);
        for (number, segment) in self.segments.iter().enumerate() {
            for (n, block) in segment.blocks.iter().enumerate() {
                file.resize(file.len().next_multiple_of(64), 0);
                let seed = (number as u64) << 32 | n as u64;
                let seed = XxHash3_64::oneshot_with_seed(seed, &block.payload[..block.head]);
                let checksum = XxHash3_64::oneshot_with_seed(seed, &block.decoded)
                    .wrapping_add(block.checksum_error);
                table.extend((file.len() as u64).to_le_bytes());
                table.extend(checksum.to_le_bytes());
                table.extend((block.payload.len() as u32).to_le_bytes());
                table.extend([block.mode, 0, 0, 0]);
                file.extend(&block.payload);
                blocks += 1;
            }
            let s = segment;
            directory.extend([s.element, s.scan, s.side, s.zero]);
            directory.extend(s.tile.0.to_le_bytes());
            directory.extend(s.tile.1.to_le_bytes());
            for field in [s.block.0, s.block.1, s.group_bands, s.zero2] {
                directory.extend(field.to_le_bytes());
            }
            for field in [s.elements, s.rows, s.cols] {
                directory.extend(field.to_le_bytes());
            }
        }
        directory.extend(&self.packings.2);
        for l in &self.layers {
            directory.extend((l.name.len() as u32).to_le_bytes());
            directory.extend([l.dtype.len() as u8, l.shape.len() as u8]);
            directory.extend(l.zero.to_le_bytes());
            directory.extend(l.segment.to_le_bytes());
            directory.extend(l.zero2.to_le_bytes());
            directory.extend(l.offset.to_le_bytes());
            directory.extend(l.length.to_le_bytes());
            directory.extend(&l.name);
            directory.extend(&l.dtype);
            l.shape.iter().for_each(|d| directory.extend(d.to_le_bytes()));
        }
        file.resize(file.len().next_multiple_of(64), 0);
        (self.edit_directory)(&mut directory);
        (self.edit_table)(&mut table);
        let decoded = directory.len() as u64;
        if self.zstd {
            directory = zstd::bulk::compress(&directory, 3).unwrap();
        }
        let mut footer = Vec::new();
        let lengths = [file.len() as u64, blocks, directory.len() as u64, decoded];
        lengths.iter().for_each(|field| footer.extend(field.to_le_bytes()));
        footer.extend((self.original.len() as u64).to_le_bytes());
        footer.extend(blake3::hash(&self.original).as_bytes());
        footer.extend((self.segments.len() as u32).to_le_bytes());
        footer.extend((self.layers.len() as u32).to_le_bytes());
        footer.extend([self.source, u8::from(self.zstd), 0, 0]);
        footer.extend(self.packings.0.to_le_bytes());
        footer.extend(self.packings.1.to_le_bytes());
        footer.resize(112, 0);
        (self.edit_footer)(&mut footer);
        let mut hasher = XxHash3_64::with_seed(0);
        for part in [&self.header, &table, &directory, &footer] {
            hasher.write(part);
        }
        footer.extend(hasher.finish().to_le_bytes());
        footer.extend(b"WCODEND\n");
        for part in [&table, &directory, &footer] {
            file.extend(part);
        }
        (self.edit_file)(&mut file);
        file
    }
}

/// Fields of the head of a coded block.
#[derive(Clone)]
pub struct Head {
    pub planes: Vec<(u8, u8, u16, Vec<u8>)>,
    pub map: Vec<u8>,
    pub tables: Vec<u8>,
    pub decoded: Vec<u8>,
    /// Applied to the payload after the head length is known.
    pub edit: fn(&mut Vec<u8>),
}

impl Head {
    pub fn block(&self) -> Block {
        let mut out = vec![self.planes.len() as u8, 0, 0, 0, 0, 0, 0, 0];
        out.extend((self.map.len() as u32).to_le_bytes());
        for (width, kind, value, stream) in &self.planes {
            out.extend([*width, *kind]);
            out.extend(value.to_le_bytes());
            out.extend((stream.len() as u32).to_le_bytes());
        }
        out.extend(&self.map);
        out.extend(&self.tables);
        out.resize(out.len().next_multiple_of(16), 0);
        let head = out.len();
        out[4..8].copy_from_slice(&(head as u32).to_le_bytes());
        for (.., stream) in self.planes.iter().filter(|p| !p.3.is_empty()) {
            out.resize(out.len().next_multiple_of(16), 0);
            out.extend(stream);
        }
        (self.edit)(&mut out);
        let head = head.min(out.len());
        Block { mode: 2, payload: out, head, decoded: self.decoded.clone(), checksum_error: 0 }
    }
}

/// A bit string, least significant bit first.
#[derive(Default)]
pub struct Bits(pub Vec<u8>, usize);

impl Bits {
    pub fn put(mut self, value: u32, width: usize) -> Bits {
        for k in 0..width {
            if self.1.is_multiple_of(8) {
                self.0.push(0);
            }
            *self.0.last_mut().unwrap() |= ((value >> k & 1) as u8) << (self.1 % 8);
            self.1 += 1;
        }
        self
    }
}
