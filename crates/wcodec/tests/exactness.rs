//! Every bit comes back: all patterns of the narrow types, random tensors of every dtype and shape,
//! files of every kind, and never more bytes than the bound. Longer run: `WCODEC_RANDOM=1000000`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod support;

use support::{Rng, count, int8, safetensors, tensor};
use wcodec::{
    Effort, ElementType, EncodeOptions, Layer, Limits, PredictorSet, Reader, Scan, TileConfig,
    decode_layer, decode_layer_into, encode_bytes, encode_layer, max_encoded_len,
};

fn round_trip(original: &[u8], options: &EncodeOptions) -> Vec<u8> {
    let (coded, stats) = encode_bytes(original, options, &()).unwrap();
    assert_eq!(stats.coded_bytes, coded.len() as u64);
    assert_eq!(stats.original_bytes, original.len() as u64);
    assert!(coded.len() as u64 <= max_encoded_len(original.len() as u64));
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    let mut back = Vec::new();
    reader.restore(&mut back, &()).unwrap();
    assert!(back == original, "the original did not come back");
    coded
}

#[test]
fn every_pattern_of_the_narrow_types() {
    let words: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    let bytes: Vec<u8> = (0..=255).collect();
    for element in ElementType::all().filter(|&e| e != ElementType::Bytes) {
        let data = if element.size() == 1 { &bytes } else { &words };
        let elements = (data.len() / element.size()) as u64;
        for shape in [vec![elements], vec![16, elements / 16], vec![elements / 4, 2, 2]] {
            for scan in [Scan::Row, Scan::Column] {
                let layer = Layer::new("all", element, shape.clone());
                let mut options = EncodeOptions::default();
                options.scan = Some(scan);
                let (coded, _) = encode_layer(data, &layer, &options).unwrap();
                assert_eq!(decode_layer(&coded).unwrap(), (layer, data.clone()));
            }
        }
    }
}

/// Bytes of a tensor in one of several characters, NaN payloads, -0 and subnormals among them.
fn character(rng: &mut Rng, element: ElementType, elements: usize) -> Vec<u8> {
    let size = element.size();
    match rng.below(7) {
        0 => vec![rng.next() as u8; elements * size],
        1 => rng.bytes(elements * size),
        2 => int8(rng, elements * size),
        3 => (0..elements * size).map(|i| (i / size / 7) as u8).collect(),
        // Patterns around zero, infinity and NaN, both signs.
        4 => {
            let special = [0u64, 1, 0x7f80_0000, 0x7f80_0001, 0x7c00, 0x7c01, 0x7f80, 0x7fff];
            (0..elements)
                .flat_map(|_| {
                    let x = special[rng.below(8) as usize] ^ rng.below(2) << (8 * size - 1);
                    x.to_le_bytes()[..size].to_vec()
                })
                .collect()
        }
        5 => {
            let few = rng.bytes(3 * size);
            (0..elements)
                .flat_map(|_| {
                    few[..size * 3].chunks(size).nth(rng.below(3) as usize).unwrap().to_vec()
                })
                .collect()
        }
        _ => {
            let mut x = 0u64;
            (0..elements)
                .flat_map(|_| {
                    x = x.wrapping_add(rng.below(5)).wrapping_sub(2);
                    x.to_le_bytes()[..size].to_vec()
                })
                .collect()
        }
    }
}

fn shape(rng: &mut Rng) -> Vec<u64> {
    let dims = [0, 1, 2, 3, 5, 7, 16, 31, 32, 33, 61, 64, 97, 127, 257];
    let rank = rng.below(5) as usize;
    let mut shape: Vec<u64> = (0..rank).map(|_| dims[rng.below(15) as usize]).collect();
    while shape.iter().product::<u64>() > 60_000 {
        shape.pop();
    }
    shape
}

#[test]
fn random_layers() {
    let types: Vec<ElementType> = ElementType::all().filter(|&e| e != ElementType::Bytes).collect();
    for seed in 0..count("WCODEC_RANDOM", 1500) {
        let mut rng = Rng::new(seed);
        let element = types[rng.below(types.len() as u64) as usize];
        let layer = Layer::new("random", element, shape(&mut rng));
        let data = character(&mut rng, element, layer.elements().unwrap() as usize);
        let mut options = EncodeOptions::default();
        options.verify = false;
        if rng.below(2) == 0 {
            options.tile =
                TileConfig { rows: 1 + rng.below(40) as u16, cols: 1 + rng.below(40) as u16 };
            options.block = Some((8 + rng.below(300) as u32, 8 + rng.below(300) as u32));
            options.scan = Some(if rng.below(2) == 0 { Scan::Row } else { Scan::Column });
            options.effort = [Effort::Fast, Effort::Default, Effort::Max][rng.below(3) as usize];
        }
        if rng.below(8) == 0 {
            options.predictors = PredictorSet::NONE;
        }
        let (coded, _) = encode_layer(&data, &layer, &options).unwrap();
        assert!(coded.len() as u64 <= max_encoded_len(layer.bytes), "seed {seed}");
        let mut back = vec![0xa5; data.len()];
        decode_layer_into(&coded, &mut back).unwrap();
        assert!(back == data, "seed {seed}");
        // A slice is what the whole says it is.
        let (rows, cols) = layer.matrix();
        let (r, c) = (rng.below(rows + 1), rng.below(cols + 1));
        let (r, c) = (r..r + rng.below(rows - r + 1), c..c + rng.below(cols - c + 1));
        let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
        let slice = reader.decode_slice(0, r.clone(), c.clone()).unwrap();
        let size = element.size() as u64;
        let expected: Vec<u8> = r
            .flat_map(|row| {
                let (a, b) = ((row * cols + c.start) * size, (row * cols + c.end) * size);
                data[a as usize..b as usize].to_vec()
            })
            .collect();
        assert!(slice == expected, "seed {seed}: slice");
    }
}

#[test]
fn odd_files_come_back() {
    let mut rng = Rng::new(7);
    let options = EncodeOptions::default();
    let weights = tensor("w", "I8", &[64, 96], int8(&mut rng, 64 * 96));
    let model = safetensors(&[
        weights,
        tensor("empty", "F32", &[0, 7], vec![]),
        tensor("scalar", "F64", &[], rng.bytes(8)),
    ]);
    let mut trailing = model.clone();
    trailing.extend(b"something behind the data");
    let mut truncated = model.clone();
    truncated.truncate(model.len() - 1);
    let unknown = safetensors(&[
        tensor("q", "F6_E2M3", &[3, 5], rng.bytes(3000)),
        tensor("c", "C64", &[4], rng.bytes(32)),
    ]);
    for file in [
        vec![],
        vec![0],
        b"{}".to_vec(),
        2u64.to_le_bytes().to_vec(),
        rng.bytes(3_000_000),
        vec![7; 5_000_000],
        model,
        trailing,
        truncated,
        unknown,
        b"\x93NUMPY\x01\x00\xff\xff".to_vec(),
        b"\x93NUMPY\x01\x00\x00\x00abc".to_vec(),
    ] {
        round_trip(&file, &options);
    }
}

#[test]
fn a_file_of_tiny_tensors_keeps_to_the_bound() {
    let mut rng = Rng::new(3);
    let tensors: Vec<_> = (0..3000)
        .map(|i| {
            let name: String = (0..40).map(|_| char::from(b'a' + rng.below(26) as u8)).collect();
            tensor(&format!("{name}{i}"), "U8", &[1], rng.bytes(1))
        })
        .collect();
    round_trip(&safetensors(&tensors), &EncodeOptions::default());
    let tensors: Vec<_> =
        (0..500).map(|i| tensor(&i.to_string(), "U8", &[600], rng.bytes(600))).collect();
    round_trip(&safetensors(&tensors), &EncodeOptions::default());
}

#[test]
fn predicted_layers_come_back_and_gain() {
    let mut rng = Rng::new(2);
    let ramp: Vec<u8> =
        (0..512 * 512u64).map(|i| ((i / 512 + i % 512) / 4 + rng.below(8)) as u8).collect();
    let layer = Layer::new("ramp", ElementType::U8, vec![512, 512]);
    let mut options = EncodeOptions::default();
    options.effort = Effort::Fast;
    let (coded, stats) = encode_layer(&ramp, &layer, &options).unwrap();
    assert!(stats.tiles_by_predictor[1..].iter().sum::<u64>() > 0);
    options.predictors = PredictorSet::NONE;
    let (plain, _) = encode_layer(&ramp, &layer, &options).unwrap();
    assert!(coded.len() < plain.len());
    assert_eq!(decode_layer(&coded).unwrap().1, ramp);
}

/// Scale classes: every type that may have them, both scans, and rows and columns of them.
#[test]
fn scaled_layers_come_back_and_gain() {
    use ElementType::{Bf16, F8E4M3, F16, F32, F64, I8, U8};
    for (seed, element) in [I8, U8, F8E4M3, F16, Bf16, F32, F64].into_iter().enumerate() {
        for (scan, shape) in [
            (None, [300, 200]),
            (Some(Scan::Row), [300, 200]),
            (Some(Scan::Column), [300, 200]),
            (Some(Scan::Row), [600, 70]),
            (Some(Scan::Column), [600, 70]),
            // Rows of the view are pieces of these rows.
            (Some(Scan::Row), [20, 1001]),
        ] {
            let mut rng = Rng::new(seed as u64);
            let data = match element {
                I8 | U8 if rng.below(2) == 0 => {
                    support::with_means(&mut rng, element, shape[0], shape[1])
                }
                F8E4M3 | F16 | Bf16 | F32 | F64 if rng.below(2) == 0 => {
                    support::with_signs(&mut rng, element, shape[0], shape[1])
                }
                _ => support::scaled(&mut rng, element, shape[0], shape[1]),
            };
            let layer = Layer::new("w", element, shape.to_vec());
            let mut options = EncodeOptions::default();
            options.scan = scan;
            options.block = (rng.below(2) == 0).then_some((90, 100));
            let (coded, stats) = encode_layer(&data, &layer, &options).unwrap();
            assert!(decode_layer(&coded).unwrap().1 == data, "{element:?} {scan:?} {shape:?}");
            options.effort = Effort::Fast;
            let (fast, plain) = encode_layer(&data, &layer, &options).unwrap();
            assert_eq!(plain.scaled_elements, 0);
            assert_eq!((fast[10], coded[10]), (0, 2), "minor versions");
            assert!(coded.len() <= fast.len());
            if scan != Some(Scan::Row) {
                let elements = shape[0] * shape[1];
                assert!(2 * stats.scaled_elements > elements, "{element:?} {scan:?} {shape:?}");
                assert!(fast.len() - coded.len() > elements as usize / 80, "{element:?} {shape:?}");
            }
            let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
            let found = reader.layer_stats(0).unwrap();
            assert_eq!(found.scaled_elements, stats.scaled_elements);
            assert_eq!(found.predicted_elements, stats.predicted_elements);
            let (rows, cols) = layer.matrix();
            let (r, c) = (rng.below(rows), rng.below(cols));
            let slice = reader.decode_slice(0, r..rows, c..cols).unwrap();
            let size = element.size();
            let width = (cols - c) as usize * size;
            let row = |k: u64| &data[((r + k) * cols + c) as usize * size..][..width];
            let mut slices = (0..).zip(slice.chunks(width));
            assert!(slices.all(|(k, slice)| slice == row(k)), "{element:?} {scan:?} {shape:?}");
        }
    }
}

/// Factors and products of long, narrow and strongly predictable layers do not exceed a side block.
#[test]
fn side_blocks_keep_to_their_bound() {
    let mut rng = Rng::new(4);
    for (rows, cols, products) in [(1u64 << 19, 8u64, 4), (32_768, 64, 32)] {
        let factors: Vec<Vec<i64>> = (0..2 * 24)
            .map(|k| {
                let n = if k % 2 == 0 { rows } else { cols };
                (0..n).map(|_| rng.below(9) as i64 - 4).collect()
            })
            .collect();
        let mut data = Vec::new();
        for row in 0..rows as usize {
            for col in 0..cols as usize {
                let mean: i64 = factors.chunks(2).map(|f| f[0][row] * f[1][col]).sum();
                data.push((mean / 4 + (rng.bell() >> (13 - row % 3))) as u8);
            }
        }
        let layer = Layer::new("long", ElementType::I8, vec![rows, cols]);
        let mut options = EncodeOptions::default();
        options.products = Some(products);
        let (coded, _) = encode_layer(&data, &layer, &options).unwrap();
        assert!(decode_layer(&coded).unwrap().1 == data, "{rows} x {cols}");
    }
}

/// A mean without any scale.
#[test]
fn means_are_predicted_where_all_scales_are_one() {
    let mut rng = Rng::new(8);
    let (rows, cols) = (256usize, 256usize);
    let of_row: Vec<i64> = (0..rows).map(|_| if rng.below(2) == 0 { -20 } else { 20 }).collect();
    let of_col: Vec<i64> = (0..cols).map(|_| if rng.below(2) == 0 { -1 } else { 1 }).collect();
    let mut data = Vec::new();
    for row in &of_row {
        data.extend(of_col.iter().map(|col| (row * col + rng.below(5) as i64 - 2) as u8));
    }
    let layer = Layer::new("signs", ElementType::I8, vec![rows as u64, cols as u64]);
    let (coded, stats) = encode_layer(&data, &layer, &EncodeOptions::default()).unwrap();
    assert!(decode_layer(&coded).unwrap().1 == data);
    assert_eq!(stats.scaled_elements, (rows * cols) as u64);
    // 2.3 bits of noise instead of one more for the sign.
    assert!(coded.len() * 8 < rows * cols * 27 / 10, "{} bytes", coded.len());
}

/// Signs that rows and columns tell are not stored, even if nothing else is left of the floats.
#[test]
fn signs_are_predicted() {
    let mut rng = Rng::new(9);
    let (rows, cols) = (300, 260);
    let encode = |data: &[u8], element, products| {
        let layer = Layer::new("w", element, vec![rows, cols]);
        let mut options = EncodeOptions::default();
        options.products = products;
        let coded = encode_layer(data, &layer, &options).unwrap().0;
        assert!(decode_layer(&coded).unwrap().1 == data, "{element:?}");
        coded.len() as u64
    };
    for element in [ElementType::F16, ElementType::Bf16, ElementType::F32] {
        let data = support::with_signs(&mut rng, element, rows, cols);
        let (plain, signs) = (encode(&data, element, Some(0)), encode(&data, element, None));
        // Of one bit, 0.34 are left.
        assert!(plain - signs > rows * cols / 8 / 2, "{element:?}: {plain} to {signs} bytes");
    }
    let mut data = support::with_signs(&mut rng, ElementType::Bf16, rows, cols);
    let (of_rows, of_cols) = (rng.bytes(rows as usize), rng.bytes(cols as usize));
    for (k, float) in data.chunks_exact_mut(2).enumerate() {
        let negative = (of_rows[k / of_cols.len()] ^ of_cols[k % of_cols.len()]) >> 7;
        float.copy_from_slice(&(0x3f80 | u16::from(negative) << 15).to_le_bytes());
    }
    let coded = encode(&data, ElementType::Bf16, None);
    assert!(coded < 3000, "{coded} bytes for the signs of {rows} rows and {cols} columns");
}

/// The whole command's way on real weights, where they are: `../corpus` beside the checkout.
#[test]
fn corpus_files_come_back() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../corpus/files");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no corpus at {}", folder.display());
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        // The large ones belong to the benchmark; a test must stay short.
        if std::fs::metadata(&path).unwrap().len() < 12 << 20 {
            round_trip(&std::fs::read(&path).unwrap(), &EncodeOptions::default());
        }
    }
}

/// A file written layer by layer restores to its pieces, one behind the other.
#[test]
fn a_writer_takes_layers_one_by_one() {
    let mut rng = Rng::new(6);
    let weights = int8(&mut rng, 300 * 200);
    let (first, second) = (
        Layer::new("a", ElementType::I8, vec![300, 200]),
        Layer::new("b", ElementType::F32, vec![2]),
    );
    let mut file = Vec::new();
    let mut writer = wcodec::Writer::new(&mut file, &EncodeOptions::default()).unwrap();
    writer.bytes(b"before").unwrap();
    assert!(writer.layer(&first, &weights).unwrap().coded_bytes < 60_000);
    writer.layer(&second, &[7; 8]).unwrap();
    let error = writer.layer(&second, &[7; 8]).unwrap_err();
    assert_eq!(error.to_string(), "layer \"b\": the name occurs twice");
    assert!(writer.layer(&Layer::new("c", ElementType::F32, vec![2]), &[7; 9]).is_err());
    let stats = writer.finish().unwrap();
    assert_eq!((stats.original_bytes, stats.coded_bytes), (60_014, file.len() as u64));
    let reader = Reader::open(file.as_slice(), &Limits::default()).unwrap();
    assert_eq!(reader.decode_layer(reader.find("b").unwrap()).unwrap(), [7; 8]);
    let mut back = Vec::new();
    reader.restore(&mut back, &()).unwrap();
    assert!(back == [&b"before"[..], &weights, &[7; 8]].concat());
}

/// Empty tensors beside full ones, and integers whose constant bits come in many short runs.
#[test]
fn awkward_tensors_come_back_and_read() {
    let mut rng = Rng::new(12);
    let file = safetensors(&[
        tensor("big", "F32", &[200], support::f32s(&mut rng, 200)),
        tensor("none", "F32", &[0, 7], vec![]),
        tensor("small", "F32", &[10], support::f32s(&mut rng, 10)),
        tensor("none again", "F16", &[3, 0], vec![]),
    ]);
    let coded = round_trip(&file, &EncodeOptions::default());
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    for (index, layer) in reader.layers().enumerate() {
        assert_eq!(reader.decode_layer(index).unwrap().len() as u64, layer.bytes);
        let (rows, cols) = layer.matrix();
        assert_eq!(reader.decode_slice(index, 0..rows, 0..cols).unwrap().len() as u64, layer.bytes);
    }
    for holes in [0x0842_1084_2108_4210u64, 0x1041_0410_4104_1041, 0x0707_0707_0707_0707] {
        for dtype in ["U64", "I64", "F64"] {
            let data = (0..4000).flat_map(|_| (rng.next() & holes).to_le_bytes()).collect();
            round_trip(
                &safetensors(&[tensor("w", dtype, &[50, 80], data)]),
                &EncodeOptions::default(),
            );
        }
    }
}

/// The default limits take what the encoder writes, and the encoder keeps to what they take.
#[test]
fn the_default_limits_fit_the_encoder() {
    let zeros = vec![0; 48 << 20];
    let coded = round_trip(&zeros, &EncodeOptions::default());
    let ratio = zeros.len() as u64 / coded.len() as u64;
    assert!(ratio < Limits::EXPANSION, "{ratio}");
    // A header of many dimensions, each 2 bytes in JSON and 8 in a directory.
    let shape = "[0".to_owned() + &",1".repeat(254) + "]";
    let mut header = String::from("{");
    for k in 0..40_000 {
        let comma = if k > 0 { "," } else { "" };
        header += &format!(
            "{comma}\"{k}\":{{\"dtype\":\"U8\",\"shape\":{shape},\"data_offsets\":[0,0]}}"
        );
    }
    header.push('}');
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    round_trip(&file, &EncodeOptions::default());
}

/// Layers of all sizes, many of them in blocks that they share, decoded in one call and one by one;
/// and nothing left in any buffer after an error.
#[test]
fn many_layers_at_once_are_those_that_come_one_by_one() {
    let mut rng = Rng::new(11);
    let tensors: Vec<_> = (0..120u64)
        .map(|k| {
            let (dtype, size) = [("I8", 1), ("BF16", 2), ("F32", 4), ("I64", 8)][k as usize % 4];
            let (rows, cols) = (1 + rng.below(90), rng.below(if k % 3 == 0 { 300 } else { 12 }));
            let data = rng.bytes((rows * cols * size) as usize);
            support::tensor(&format!("layer {k}"), dtype, &[rows, cols], data)
        })
        .collect();
    let original = support::safetensors(&tensors);
    let (mut coded, _) = encode_bytes(&original, &EncodeOptions::default(), &()).unwrap();
    let mut buffers: Vec<Vec<u8>> = tensors.iter().map(|t| vec![0xa5; t.data.len()]).collect();
    {
        let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
        let number = |k: usize| reader.find(&tensors[k].name).unwrap();
        let mut wanted: Vec<(usize, &mut [u8])> =
            buffers.iter_mut().enumerate().map(|(k, b)| (number(k), b.as_mut_slice())).collect();
        // Not in the order of the file.
        wanted.reverse();
        reader.decode_layers_into(&mut wanted).unwrap();
        for (k, (tensor, buffer)) in tensors.iter().zip(&buffers).enumerate() {
            assert!(buffer == &tensor.data, "{}", tensor.name);
            assert!(reader.decode_layer(number(k)).unwrap() == tensor.data, "{}", tensor.name);
        }
    }
    // A byte of some block in the middle.
    let middle = coded.len() / 2;
    coded[middle] ^= 1;
    let reader = Reader::open(coded.as_slice(), &Limits::default()).unwrap();
    let mut wanted: Vec<(usize, &mut [u8])> =
        buffers.iter_mut().map(Vec::as_mut_slice).enumerate().collect();
    let mut sized: Vec<Vec<u8>> = reader.layers().map(|l| vec![7; l.bytes as usize]).collect();
    for ((_, buffer), own) in wanted.iter_mut().zip(&mut sized) {
        *buffer = own;
    }
    assert!(reader.decode_layers_into(&mut wanted).is_err());
    assert!(wanted.iter().all(|(_, buffer)| buffer.iter().all(|&b| b == 0)));
}
