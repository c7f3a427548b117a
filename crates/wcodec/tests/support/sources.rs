//! Files of other software, put together by hand: protocol buffers, zip archives, pickles.

/// A field of a message whose value is bytes.
pub fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    if number > 15 {
        out = vec![number << 3 & 0x7f | 0x82, number >> 4];
    }
    out.extend(varint(bytes.len() as u64));
    out.extend(bytes);
    out
}

/// A field of a message whose value is a number.
pub fn number(number: u8, value: u64) -> Vec<u8> {
    [vec![number << 3], varint(value)].concat()
}

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

/// A `TensorProto` with `raw_data`.
pub fn onnx_tensor(name: &str, dtype: u64, dims: &[u64], data: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = dims.iter().flat_map(|&dim| number(1, dim)).collect();
    out.extend(number(2, dtype));
    if !name.is_empty() {
        out.extend(field(8, name.as_bytes()));
    }
    out.extend(field(9, data));
    out
}

/// A model whose graph has these fields.
pub fn onnx_model(graph: &[u8]) -> Vec<u8> {
    let named = [field(2, b"graph"), graph.to_vec()].concat();
    [number(1, 8), field(2, b"test"), field(7, &named), field(8, &number(2, 17))].concat()
}

/// A member of an archive; what its headers say can be changed.
#[derive(Clone)]
pub struct Member {
    pub name: String,
    pub local_name: String,
    pub data: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    pub size: u64,
    pub coded_size: u64,
    /// Sizes and position in the directory are in its 64-bit extra field.
    pub zip64: bool,
    /// Added to the position that the directory gives.
    pub shift: i64,
}

pub fn member(name: &str, data: &[u8]) -> Member {
    let size = data.len() as u64;
    Member {
        name: name.to_owned(),
        local_name: name.to_owned(),
        data: data.to_vec(),
        flags: 0,
        method: 0,
        size,
        coded_size: size,
        zip64: false,
        shift: 0,
    }
}

/// An archive. Bit 3 of the flags puts sizes behind the bytes of a member, as PyTorch does.
pub fn zip(members: &[Member]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let at = (file.len() as i64 + member.shift) as u64;
        let head = |sizes: [u32; 2], name: &str, extra: usize| {
            let mut out = [20u16, member.flags, member.method, 0, 0].map(u16::to_le_bytes).concat();
            out.extend([0; 4]);
            out.extend(sizes.map(u32::to_le_bytes).concat());
            out.extend([name.len() as u16, extra as u16].map(u16::to_le_bytes).concat());
            out
        };
        let after = member.flags & 8 != 0;
        let sizes = [member.coded_size as u32, member.size as u32];
        file.extend(b"PK\x03\x04");
        file.extend(head(if after { [0, 0] } else { sizes }, &member.local_name, 0));
        file.extend(member.local_name.as_bytes());
        file.extend(&member.data);
        if after {
            file.extend(b"PK\x07\x08\0\0\0\0");
            file.extend(sizes.map(u32::to_le_bytes).concat());
        }
        let mut extra = Vec::new();
        if member.zip64 {
            extra.extend([1u16, 24].map(u16::to_le_bytes).concat());
            extra.extend([member.size, member.coded_size, at].map(u64::to_le_bytes).concat());
        }
        let sizes = if member.zip64 { [u32::MAX; 2] } else { sizes };
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(head(sizes, &member.name, extra.len()));
        directory.extend([0; 10]);
        directory.extend(if member.zip64 { u32::MAX } else { at as u32 }.to_le_bytes());
        directory.extend(member.name.as_bytes());
        directory.extend(&extra);
    }
    let at = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([members.len() as u16; 2].map(u16::to_le_bytes).concat());
    file.extend([directory.len() as u32, at].map(u32::to_le_bytes).concat());
    file.extend([0, 0]);
    file
}

/// A checkpoint in the zip format.
pub fn checkpoint(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    zip(&checkpoint_members(pickle, storages))
}

pub fn checkpoint_members(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<Member> {
    let mut members = vec![member("model/data.pkl", pickle)];
    members.extend(storages.iter().map(|(key, data)| member(&format!("model/data/{key}"), data)));
    members.push(member("model/version", b"3\n"));
    members.iter_mut().for_each(|member| member.flags = 8);
    members
}

/// The opcodes of a pickle, one behind the other.
pub fn pickle(parts: &[Vec<u8>]) -> Vec<u8> {
    [b"\x80\x02".to_vec(), parts.concat(), b".".to_vec()].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    [b"X".to_vec(), (text.len() as u32).to_le_bytes().to_vec(), text.as_bytes().to_vec()].concat()
}

pub fn int(value: i64) -> Vec<u8> {
    [b"\x8a\x08".to_vec(), value.to_le_bytes().to_vec()].concat()
}

pub fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(".to_vec(), items.concat(), b"t".to_vec()].concat()
}

pub fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<_> =
        items.iter().map(|(key, item)| [text(key), item.clone()].concat()).collect();
    [b"}(".to_vec(), items.concat(), b"u".to_vec()].concat()
}

pub fn call(function: Vec<u8>, args: &[Vec<u8>]) -> Vec<u8> {
    [function, tuple(args), b"R".to_vec()].concat()
}

pub fn storage(class: &str, key: &str, elements: i64) -> Vec<u8> {
    let id = [text("storage"), global("torch", class), text(key), text("cpu"), int(elements)];
    [tuple(&id), b"Q".to_vec()].concat()
}

fn ints(values: &[i64]) -> Vec<u8> {
    tuple(&values.iter().map(|&value| int(value)).collect::<Vec<_>>())
}

/// A tensor: its storage, its first element, sizes and strides.
pub fn torch_tensor(storage: Vec<u8>, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let hooks = call(global("collections", "OrderedDict"), &[]);
    let args = [storage, int(offset), ints(shape), ints(strides), b"\x89".to_vec(), hooks];
    call(global("torch._utils", "_rebuild_tensor_v2"), &args)
}

/// A checkpoint in the legacy format: storages have a key, a number of elements and bytes.
pub fn legacy(pickled: &[u8], storages: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.".to_vec();
    file.extend(pickle(&[int(1001)]));
    file.extend(pickle(&[dict(&[("little_endian", b"\x88".to_vec())])]));
    file.extend(pickled);
    let keys: Vec<_> = storages.iter().map(|storage| text(storage.0)).collect();
    file.extend(pickle(&[b"](".to_vec(), keys.concat(), b"e".to_vec()]));
    for (_, elements, data) in storages {
        file.extend(elements.to_le_bytes());
        file.extend(*data);
    }
    file
}
