//! ONNX and PyTorch files: their tensors become layers, every file comes back byte for byte, and
//! files that break the rules of their format are bytes with a warning.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use std::sync::Mutex;
use support::sources::{
    Member, call, checkpoint, checkpoint_members, dict, field, global, int, legacy, member, number,
    onnx_model, onnx_tensor, pickle, storage, text, torch_tensor, tuple, zip,
};
use support::{Rng, testdata};
use wcodec::{
    Effort, EncodeOptions, Limits, Observer, Reader, SourceKind, encode_bytes, encode_file,
};

#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// What the encoder found in a file: the source, `name dtype [shape]` of each layer, the warnings.
struct Found {
    kind: SourceKind,
    layers: Vec<String>,
    warnings: Vec<String>,
    coded: Vec<u8>,
}

/// Encodes and decodes a file.
fn found(original: &[u8]) -> Found {
    let mut options = EncodeOptions::default();
    options.effort = Effort::Fast;
    let warnings = Warnings::default();
    let (coded, _) = encode_bytes(original, &options, &warnings).unwrap();
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    let mut back = Vec::new();
    reader.restore(&mut back, &()).unwrap();
    assert!(back == original);
    let layers = reader.layers().map(|l| format!("{} {} {:?}", l.name, l.dtype, l.shape)).collect();
    let (kind, warnings) = (reader.source_kind(), warnings.0.into_inner().unwrap());
    Found { kind, layers, warnings, coded }
}

/// Asserts that a file is opaque, with a warning that says this.
fn broken(original: &[u8], reason: &str) {
    let found = found(original);
    assert_eq!((found.kind, found.layers.len()), (SourceKind::Opaque, 0), "{reason}");
    assert_eq!(found.warnings.len(), 1, "{reason}");
    assert!(found.warnings[0].contains(reason), "{} instead of {reason}", found.warnings[0]);
}

/// Asserts that a file is opaque and nothing is said.
fn unknown(original: &[u8]) {
    let found = found(original);
    assert_eq!((found.kind, found.layers, found.warnings), (SourceKind::Opaque, vec![], vec![]));
}

fn decode(found: &Found, name: &str) -> Vec<u8> {
    let reader = Reader::open(found.coded.as_slice(), &Limits::default()).unwrap();
    reader.decode_layer(reader.find(name).unwrap()).unwrap()
}

// --- ONNX ---

#[test]
fn onnx_tensors_are_found_everywhere() {
    let tensor = |name: &str| onnx_tensor(name, 3, &[2, 2], b"\x01\x02\x03\x04");
    let attribute = |parts: &[Vec<u8>]| field(5, &[field(1, b"value"), parts.concat()].concat());
    let node = |attributes: &[Vec<u8>]| {
        field(1, &[field(2, b"out"), attributes.concat(), field(4, b"Constant")].concat())
    };
    let sub = [field(5, &tensor("sub")), node(&[attribute(&[field(5, &tensor(""))])])].concat();
    let sparse = [field(1, &tensor("values")), field(2, &tensor("indices"))].concat();
    let graph = [
        field(5, &tensor("w")),
        field(5, &tensor("w")),
        field(5, &tensor("w#2")),
        node(&[
            attribute(&[field(5, &tensor(""))]),
            attribute(&[field(10, &tensor("many")), field(10, &tensor(""))]),
            attribute(&[field(6, &sub), field(11, &field(5, &tensor("graphs")))]),
            attribute(&[field(22, &sparse)]),
        ]),
        field(15, &field(1, &tensor("sparse"))),
    ]
    .concat();
    let function = field(7, &node(&[attribute(&[field(5, &tensor("function"))])])[2..]);
    let mut file = onnx_model(&graph);
    file.extend(field(20, &field(1, &field(5, &tensor("training")))));
    file.extend(field(25, &function));
    let found = found(&file);
    let names: Vec<_> = found.layers.iter().map(|l| l.split_once(' ').unwrap().0).collect();
    let expected = [
        "w", "w#2", "w#2#2", "out", "many", "out#2", "sub", "out#3", "graphs", "values", "indices",
        "sparse", "training", "function",
    ];
    assert_eq!((names.as_slice(), found.kind), (&expected[..], SourceKind::Onnx));
    assert!(found.warnings.is_empty());
    for name in names {
        assert_eq!(decode(&found, name), b"\x01\x02\x03\x04");
    }
}

#[test]
fn onnx_dtypes_shapes_and_kinds_of_data() {
    let floats = |number: u8, dtype: u64, bytes: &[u8]| {
        [support::sources::number(2, dtype), field(1, &[1, 2]), field(number, bytes)].concat()
    };
    let typed = |parts: &[Vec<u8>]| [number(2, 7), number(1, 2), parts.concat()].concat();
    let plain = [
        field(5, &[floats(4, 1, &[1; 8]), field(8, b"floats")].concat()),
        field(5, &[floats(10, 11, &[2; 16]), field(8, b"doubles")].concat()),
        field(5, &onnx_tensor("scalar", 16, &[], &[3; 2])),
        field(5, &onnx_tensor("none", 10, &[0, 7], &[])),
        field(5, &onnx_tensor("nibbles", 22, &[3, 3], &[5; 5])),
        field(5, &onnx_tensor("fp8", 17, &[4], &[6; 4])),
        field(5, &onnx_tensor("complex", 14, &[1], &[7; 8])),
    ];
    let other = [
        typed(&[field(7, &[1, 2])]),
        typed(&[number(7, 1), number(7, 2)]),
        typed(&[field(9, &[1; 8]), field(9, &[2; 8])]),
        typed(&[number(14, 1), field(13, b"elsewhere")]),
        typed(&[]),
        [number(2, 8), number(1, 1), field(6, b"text")].concat(),
        onnx_tensor("future", 99, &[1], &[1]),
        [number(2, 1), number(1, 1), vec![4 << 3 | 5, 0, 0, 0, 0]].concat(),
    ];
    let graph = [plain.concat(), other.iter().flat_map(|t| field(5, t)).collect()].concat();
    let found = found(&onnx_model(&graph));
    let expected = [
        "floats F32 [1, 2]",
        "doubles F64 [1, 2]",
        "scalar BF16 []",
        "none F16 [0, 7]",
        "nibbles I4 [3, 3]",
        "fp8 F8_E4M3 [4]",
        "complex C64 [1]",
    ];
    assert_eq!((found.layers, found.warnings), (expected.map(str::to_owned).to_vec(), vec![]));
}

#[test]
fn onnx_that_breaks_its_rules_is_bytes() {
    let with = |tensor: Vec<u8>| onnx_model(&field(5, &tensor));
    broken(&with(onnx_tensor("w", 1, &[2], &[0; 7])), "F32 of shape [2] has 7 bytes, expected 8");
    broken(&with(onnx_tensor("w", 1, &[1 << 40, 1 << 40], &[0; 8])), "more than 2^64 bits");
    broken(&with(onnx_tensor("w", 1, &[u64::MAX], &[0; 8])), "more than 2^64 bits");
    broken(&with(onnx_tensor("w", 1, &[1 << 60], &[0; 8])), "more than 2^64 bits");
    broken(&with(onnx_tensor("w", 2, &[1; 256], &[0])), "more than 255 dimensions");
    broken(&with(onnx_tensor("\u{7f}x", 2, &[1], &[0])).map_name(), "not UTF-8");
    broken(&with(onnx_tensor(&"n".repeat(70_000), 2, &[1], &[0])), "text of 70000 bytes");
    broken(&with(vec![0x0b]), "wire type 3");
    broken(&with(vec![0x80; 11]), "no whole number");
    broken(&onnx_model(&[0x2a, 0xff, 0xff, 0xff, 0xff, 0x7f]), "end behind byte");
    let mut nested = Vec::new();
    for _ in 0..60 {
        nested = field(1, &field(5, &field(6, &nested)));
    }
    broken(&onnx_model(&nested), "nested deeper than 100");
    let output = field(2, &[b'o'; 60_000]);
    let attribute = field(5, &field(5, &onnx_tensor("", 2, &[1], &[0])));
    let node = field(1, &[output, attribute.repeat(1000)].concat());
    broken(&onnx_model(&node), "names are longer than the file");
}

trait Damaged {
    fn map_name(self) -> Vec<u8>;
}

impl Damaged for Vec<u8> {
    /// The file with the first 0x7f made a byte that no text has.
    fn map_name(mut self) -> Vec<u8> {
        let at = self.iter().position(|&b| b == 0x7f).unwrap();
        self[at] = 0xff;
        self
    }
}

#[test]
fn truncated_onnx_is_bytes() {
    let mut rng = Rng::new(5);
    let tensors: Vec<u8> = (0..3)
        .flat_map(|k| field(5, &onnx_tensor(&format!("w{k}"), 2, &[50], &rng.bytes(50))))
        .collect();
    let file = onnx_model(&tensors);
    let graph = file.windows(7).position(|w| w == b"\x12\x05graph").unwrap();
    for end in graph + 7..file.len() - 4 {
        broken(&file[..end], "not a valid ONNX file");
    }
    for end in 0..graph {
        unknown(&file[..end]);
    }
}

#[test]
fn other_files_are_not_taken_for_onnx() {
    unknown(b"\x08\x01 plain text");
    unknown(&[number(1, 8), field(7, &field(3, b"no graph"))].concat());
    unknown(&[field(7, &field(2, b"no version"))].concat());
    unknown(&number(5, 1).repeat(1000));
    unknown(&[number(1, 4), field(2, b"a description"), field(200 >> 3, b"")].concat());
}

#[test]
fn files_on_disk_are_read_like_files_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let coded = folder.path().join("coded");
    for name in ["small.onnx", "small.pth", "small_legacy.pt"] {
        let path = testdata("sources").join(name);
        let mut options = EncodeOptions::default();
        (options.effort, options.force) = (Effort::Fast, true);
        encode_file(&path, &coded, &options, &()).unwrap();
        assert!(std::fs::read(&coded).unwrap() == found(&std::fs::read(&path).unwrap()).coded);
    }
}

// --- PyTorch ---

fn floats(n: usize) -> Vec<u8> {
    (0..n).flat_map(|k| (k as f32).to_le_bytes()).collect()
}

#[test]
fn checkpoints_of_both_formats_have_the_same_layers() {
    let expected = [
        "model.layer.weight F32 [30, 32]",
        "model.head.weight F32 [8, 24]",
        "data/1 F16 [864]",
        "optimizer.state.0.step I64 []",
        "optimizer.state.0.exp_avg_sq F32 [30, 32]",
    ];
    for file in ["small.pth", "small_legacy.pt"] {
        let found = found(&std::fs::read(testdata("sources").join(file)).unwrap());
        let (layers, kind) = (found.layers.as_slice(), found.kind);
        assert_eq!((layers, kind), (&expected.map(str::to_owned)[..], SourceKind::Torch), "{file}");
        assert!(found.warnings.is_empty());
    }
}

/// The layers of a checkpoint with one storage of 12 floats.
fn layers(value: Vec<u8>) -> Vec<String> {
    let found = found(&checkpoint(&pickle(&[value]), &[("0", &floats(12))]));
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    found.layers
}

fn view(offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    torch_tensor(storage("FloatStorage", "0", 12), offset, shape, strides)
}

#[test]
fn views_of_a_storage() {
    let whole = ["data/0 F32 [12]"];
    assert_eq!(layers(view(0, &[3, 4], &[4, 1])), ["tensor F32 [3, 4]"]);
    let two = dict(&[("b", view(6, &[6], &[1])), ("a", view(0, &[2, 1, 3], &[3, 99, 1]))]);
    assert_eq!(layers(two), ["a F32 [2, 1, 3]", "b F32 [6]"]);
    let tied = dict(&[("a", view(0, &[12], &[1])), ("b", view(0, &[12], &[1]))]);
    assert_eq!(layers(tied), ["a F32 [12]"]);
    let empty = dict(&[("a", view(5, &[0, 4], &[4, 1])), ("b", view(0, &[12], &[1]))]);
    assert_eq!(layers(empty), ["a F32 [0, 4]", "b F32 [12]"]);
    let overlapping = dict(&[("a", view(0, &[8], &[1])), ("b", view(7, &[4], &[1]))]);
    assert_eq!(layers(overlapping), whole);
    assert_eq!(layers(view(0, &[4, 3], &[1, 4])), whole, "transposed");
    assert_eq!(layers(view(0, &[4], &[0])), whole, "expanded");
    assert_eq!(layers(storage("FloatStorage", "0", 12)), whole, "no tensor");
    let other = dict(&[("a", view(0, &[12], &[1])), ("b", storage("IntStorage", "0", 12))]);
    assert_eq!(layers(other), whole, "two classes");
    assert_eq!(layers(view(0, &[], &[])), ["tensor F32 []"]);
}

#[test]
fn tensors_are_found_behind_calls() {
    let tensor = || view(0, &[12], &[1]);
    let parameter = call(global("torch._utils", "_rebuild_parameter"), &[tensor(), int(1)]);
    assert_eq!(layers(dict(&[("p", parameter)])), ["p F32 [12]"]);
    let args = tensor()[global("torch._utils", "_rebuild_tensor_v2").len()..].to_vec();
    let args = args[..args.len() - 1].to_vec();
    let from_type = call(
        global("torch._tensor", "_rebuild_from_type_v2"),
        &[global("torch._utils", "_rebuild_tensor_v2"), global("my", "Type"), args, dict(&[])],
    );
    assert_eq!(layers(dict(&[("t", from_type)])), ["t F32 [12]"]);
    let ordered = call(
        global("collections", "OrderedDict"),
        &[[b"]".to_vec(), tuple(&[text("k"), tensor()]), b"a".to_vec()].concat()],
    );
    assert_eq!(layers(ordered), ["k F32 [12]"]);
    let state = dict(&[("_parameters", dict(&[("w", tensor())]))]);
    let module = [global("my", "Module"), b")\x81".to_vec(), state, b"b".to_vec()].concat();
    assert_eq!(layers(dict(&[("m", module)])), ["m._parameters.w F32 [12]"]);
    let untyped = storage("UntypedStorage", "0", 48);
    let zeros = tuple(&[int(24)]);
    let v3 = call(
        global("torch._utils", "_rebuild_tensor_v3"),
        &[untyped, int(0), zeros, tuple(&[int(1)]), int(0), int(0), global("torch", "bfloat16")],
    );
    assert_eq!(layers(v3), ["tensor BF16 [24]"]);
    let list = [b"](".to_vec(), int(7), tensor(), b"e".to_vec()].concat();
    assert_eq!(layers(dict(&[("l", list)])), ["l.1 F32 [12]"]);
    let dots = dict(&[("a", dict(&[("b", view(0, &[6], &[1]))])), ("a.b", view(6, &[6], &[1]))]);
    assert_eq!(layers(dots), ["a.b F32 [6]", "a.b#2 F32 [6]"]);
}

#[test]
fn nothing_is_executed() {
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("witness");
    let command = format!("touch {}", witness.display());
    let attack = || call(global("os", "system"), &[text(&command)]);
    let tensor = || view(0, &[12], &[1]);
    assert_eq!(layers(dict(&[("x", attack()), ("w", tensor())])), ["w F32 [12]"]);
    let inside = call(global("os", "system"), &[text(&command), tensor()]);
    assert_eq!(layers(dict(&[("x", inside)])), ["x.1 F32 [12]"]);
    let built = call(global("builtins", "getattr"), &[global("os", "system"), attack()]);
    assert_eq!(layers(tuple(&[built, tensor()])), ["1 F32 [12]"]);
    assert!(!witness.exists());
}

/// Asserts that a pickle in a checkpoint leads to its storages, as bytes, and a warning.
fn unusual(pickle: &[u8], reason: &str) {
    let found = found(&checkpoint(pickle, &[("0", &floats(12))]));
    assert_eq!(found.layers, ["data/0 BYTES [48]"], "{reason}");
    assert_eq!(found.kind, SourceKind::Torch);
    assert_eq!(found.warnings.len(), 1, "{reason}");
    assert!(found.warnings[0].contains(reason), "{} instead of {reason}", found.warnings[0]);
}

#[test]
fn unusual_pickles_leave_storages() {
    let value = |value: Vec<u8>| pickle(&[value]);
    unusual(b"", "end behind byte");
    unusual(b"\x80\x02.", "empty stack");
    unusual(b"\x80\x02K\x01", "end behind byte");
    unusual(b"\x80\x02ifoo\nbar\n.", "pickle opcode 0x69");
    unusual(b"\x80\x02Pname\n.", "pickle opcode 0x50");
    unusual(b"\x80\x02\x82\x01.", "pickle opcode 0x82");
    unusual(b"\x80\x02h\x07.", "no memo 7");
    unusual(b"\x80\x02t.", "no mark");
    unusual(b"\x80\x02K\x01(0.", "empty stack");
    unusual(b"\x80\x02}(K\x01u.", "key without a value");
    unusual(b"\x80\x02K\x01(K\x02e.", "fills what is no container");
    unusual(b"\x80\x02X\xff\xff\xff\x7fabc.", "end behind byte");
    unusual(b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc.", "end behind byte");
    unusual(b"\x80\x02\x8b\xff\xff\xff\xff.", "end behind byte");
    unusual(b"\x80\x02cno line feed.", "no end of the line");
    unusual(&value(view(0, &[13], &[1])), "ends behind its storage");
    unusual(&value(view(1, &[12], &[1])), "ends behind its storage");
    unusual(&value(view(i64::MAX, &[12], &[1])), "more than 2^64 bytes");
    unusual(&value(view(0, &[i64::MAX, 9], &[9, 1])), "more than 2^64 bytes");
    unusual(&value(view(0, &[-1], &[1])), "a dimension of -1");
    unusual(&value(view(-4, &[1], &[1])), "begins at -4");
    unusual(&value(view(0, &[3, 4], &[1])), "has 1 strides");
    unusual(&value(view(0, &[1; 256], &[1; 256])), "not described as tensors are");
    unusual(&value(torch_tensor(int(3), 0, &[1], &[1])), "not described as tensors are");
    unusual(&value(storage("FloatStorage", "0", 11)), "has 48 bytes, expected 44");
    unusual(&value(storage("FloatStorage", "0", i64::MAX)), "elements");
    unusual(&value(storage("FloatStorage", "0", -3)), "elements");
    unusual(&value(storage("FloatStorage", "../0", 12)), "no member \"data/../0\"");
    unusual(&value(storage("FloatStorage", &"k".repeat(2000), 12)), "text of 2000 bytes");
    unusual(&value(storage("StrangeStorage", "0", 12)), "not described as storages are");
    unusual(&value(tuple(&[tuple(&[]), b"Q".to_vec()])), "not described as storages are");
    let two = tuple(&[storage("FloatStorage", "0", 12), storage("FloatStorage", "0", 13)]);
    unusual(&value(two), "has 48 bytes and 52");
}

#[test]
fn bombs_and_circles_end() {
    let tensor = view(0, &[12], &[1]);
    // Each list holds the one before it twice: 2^100 paths.
    let mut bomb = vec![b"]q\0".to_vec()];
    for level in 0..60u8 {
        let (before, after) = ([b'h', level], [b'q', level + 1]);
        bomb.push([&b"]"[..], &after, b"(", &before, &before, b"e0"].concat());
    }
    bomb.push([&b"h\x3c"[..], &tensor, b"\x86"].concat());
    assert_eq!(layers(bomb.concat()), ["1 F32 [12]"]);
    // A dictionary that holds itself.
    let circle = [&b"}q\0"[..], &text("me"), b"h\0s", &text("w"), &tensor, b"s"].concat();
    assert_eq!(layers(circle), ["w F32 [12]"]);
    let deep = [&b"]".repeat(5000)[..], &tensor, &b"a".repeat(5000)].concat();
    unusual(&pickle(&[deep]), "nested deeper than 100");
    unusual(&pickle(&[b"(".repeat(1 << 19)]), "marks");
    unusual(&pickle(&[b"N".repeat(1 << 19)]), "values on its stack");
    unusual(&pickle(&[b"}0".repeat(1 << 20)]), "bytes of memory");
    let wide = [&b"]("[..], &b"N".repeat(1000), b"l0"].concat();
    unusual(&pickle(&[wide.repeat(3000)]), "bytes of memory");
    let memo: Vec<u8> =
        (0..1u32 << 20).flat_map(|k| [&b"r"[..], &k.to_le_bytes()].concat()).collect();
    unusual(&pickle(&[b"N".to_vec(), memo]), "bytes of memory");
    // One long key, many tensors.
    let many: Vec<u8> = (0..200)
        .flat_map(|k| [text(&k.to_string()), view(0, &[0], &[1]), b"s".to_vec()].concat())
        .collect();
    let names = [b"}".to_vec(), text(&"k".repeat(60_000)), b"}".to_vec(), many, b"s".to_vec()];
    unusual(&pickle(&names), "names are longer than the file");
}

/// The members of a checkpoint with one tensor, changed.
fn archive(change: impl FnOnce(&mut Vec<Member>)) -> Vec<u8> {
    let mut members = checkpoint_members(&pickle(&[view(0, &[12], &[1])]), &[("0", &floats(12))]);
    change(&mut members);
    zip(&members)
}

#[test]
fn archives_of_all_kinds() {
    let good = ["tensor F32 [12]"];
    assert_eq!(found(&archive(|_| ())).layers, good, "sizes behind the bytes");
    assert_eq!(found(&archive(|m| m.iter_mut().for_each(|m| m.flags = 0))).layers, good);
    assert_eq!(found(&archive(|m| m.iter_mut().for_each(|m| m.zip64 = true))).layers, good);
    let more = archive(|m| m.push(member("model/../../etc/passwd", b"x")));
    assert_eq!(found(&more).layers, good);
    assert_eq!(found(&archive(|m| m.push(member("model/byteorder", b"little")))).layers, good);
    let behind = [archive(|_| ()), b"more".to_vec()].concat();
    assert_eq!(found(&behind).layers, good);
}

#[test]
fn archives_that_contradict_themselves_are_bytes() {
    broken(&archive(|m| m[1].shift = -40), "not a valid PyTorch file");
    broken(
        &archive(|m| m[1] = Member { shift: -(m[0].data.len() as i64) - 60, ..m[0].clone() }),
        "twice",
    );
    broken(&archive(|m| m[1].coded_size = 90), "members overlap");
    broken(&archive(|m| m[1].coded_size = 1 << 30), "a member ends at byte");
    broken(
        &archive(|m| (m[1].coded_size, m[1].zip64) = (u64::MAX - 9, true)),
        "not a valid PyTorch",
    );
    broken(&archive(|m| m.push(m[1].clone())), "is listed twice");
    broken(
        &archive(|m| m[1].local_name = "model/data/1".to_owned()),
        "another name before its bytes",
    );
    broken(&archive(|m| m[1].name = "model/data/1".to_owned()), "another name before its bytes");
    // The same bytes under two names.
    let twins = archive(|m| {
        let twin = Member { data: vec![], coded_size: 48, size: 48, ..m[1].clone() };
        let shift = -(30 + "model/data/0".len() as i64 + 48 + 16);
        m.insert(2, Member { name: "model/data/1".to_owned(), shift, ..twin });
    });
    broken(&twins, "not a valid PyTorch file");
    let file = archive(|_| ());
    let mut count = file.clone();
    let at = file.len() - 12;
    count[at..at + 2].fill(0xff);
    broken(&count, "3 members are listed, 65535 counted");
    // The directory's length is not needed.
    let mut length = file.clone();
    length[at + 2..at + 6].fill(0xff);
    assert_eq!(found(&length).layers, ["tensor F32 [12]"]);
    let directory = file.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    for end in [60, 200, directory, directory + 50, file.len() - 22, file.len() - 1] {
        broken(&file[..end], "not a valid PyTorch file");
    }
}

#[test]
fn archives_with_unusual_members_leave_storages() {
    let unusual = |change: fn(&mut Vec<Member>), reason: &str, layers: &[&str]| {
        let found = found(&archive(change));
        assert_eq!(found.layers, layers, "{reason}");
        assert!(found.warnings[0].contains(reason), "{:?}", found.warnings);
    };
    let bytes = &["data/0 BYTES [48]"];
    unusual(|m| m[1].method = 8, "compressed", &[]);
    unusual(|m| m[1].flags = 1, "encrypted", &[]);
    unusual(|m| m[1].size = 47, "compressed", &[]);
    unusual(|m| m[0].method = 8, "compressed", bytes);
    unusual(|m| m.push(member("model/byteorder", b"big")), "big-endian", bytes);
    unusual(|m| drop(m.remove(1)), "no member \"data/0\"", &[]);
}

#[test]
fn other_archives_are_not_taken_for_checkpoints() {
    unknown(&zip(&[]));
    unknown(&zip(&[member("arr_0.npy", b"\x93NUMPY")]));
    unknown(&zip(&[member("META-INF/MANIFEST.MF", b"x"), member("com/A.class", b"y")]));
    unknown(&zip(&[member("word/document.xml", b"x"), member("data.pkl", b"y")]));
    unknown(&zip(&[member("a/b", b"x")])[..40]);
    unknown(b"PK\x03\x04");
    // A pickle and no tensors.
    unknown(&zip(&[member("a/data.pkl", &pickle(&[int(1)]))]));
}

#[test]
fn legacy_files_that_break_their_rules_are_bytes() {
    let data = floats(12);
    let value = pickle(&[view(0, &[12], &[1])]);
    let good = legacy(&value, &[("0", 12, &data)]);
    assert_eq!(found(&good).layers, ["tensor F32 [12]"]);
    for end in (15..good.len()).step_by(7) {
        broken(&good[..end], "not a valid PyTorch file");
    }
    broken(&legacy(&value, &[("0", 11, &data)]), "has 11 elements, expected 12");
    broken(&legacy(&value, &[("0", u64::MAX, &data)]), "elements, expected 12");
    broken(&legacy(&value, &[("1", 12, &data)]), "\"1\" has no tensor");
    broken(&legacy(&value, &[("0", 12, &data), ("0", 12, &data)]), "\"0\" has no tensor");
    broken(&legacy(&value, &[]), "storage \"0\" is missing");
    broken(&legacy(b"\x80\x02i.", &[]), "pickle opcode 0x69");
    let mut big = good.clone();
    let text = big.windows(13).position(|w| w == b"little_endian").unwrap();
    assert_eq!(std::mem::replace(&mut big[text + 13], 0x89), 0x88);
    broken(&big, "big-endian");
    let mut protocol = good;
    let at = protocol.windows(3).position(|w| w == [0x8a, 8, 0xe9]).unwrap();
    protocol[at + 2] = 0xea;
    broken(&protocol, "another protocol");
}
