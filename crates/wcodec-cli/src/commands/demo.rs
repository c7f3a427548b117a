//! `wcodec demo`: the whole way, on a small trained model that comes with the program.

use crate::report::{self, gbps};
use std::time::Instant;
use wcodec::{DecodeOptions, EncodeOptions, Error, ErrorKind, Result};

/// testdata/demo/README.md says where they come from and under which licence.
const MODELS: [(&str, &[u8]); 2] = [
    (
        "silero-vad-int8.safetensors",
        include_bytes!("../../../../testdata/demo/silero-vad-int8.safetensors"),
    ),
    (
        "silero-vad-fp32.safetensors",
        include_bytes!("../../../../testdata/demo/silero-vad-fp32.safetensors"),
    ),
];

pub(super) fn run() -> Result<()> {
    let folder = tempfile::tempdir().map_err(|e| Error::from(e).in_file(&std::env::temp_dir()))?;
    let mut rows = Vec::new();
    for (name, model) in MODELS {
        let path = folder.path().join(name);
        let coded = folder.path().join(format!("{name}.wcodec"));
        let restored = folder.path().join("restored");
        std::fs::write(&path, model).map_err(|e| Error::from(e).in_file(&path))?;

        let encoded = wcodec::encode_file(&path, &coded, &EncodeOptions::default(), &())?;
        let started = Instant::now();
        wcodec::verify_file(&coded, &DecodeOptions::default(), &())?;
        let verify = started.elapsed().as_secs_f64();
        let mut options = DecodeOptions::default();
        options.force = true;
        let decoded = wcodec::decode_file(&coded, &restored, &options, &())?;
        if std::fs::read(&restored).map_err(|e| Error::from(e).in_file(&restored))? != model {
            let text = format!("{name} did not come back byte for byte");
            return Err(Error::from(ErrorKind::Corrupt(text)));
        }

        let bytes = encoded.original_bytes;
        rows.push(vec![
            name.to_owned(),
            bytes.to_string(),
            encoded.coded_bytes.to_string(),
            format!("{:.2} %", 100.0 * encoded.ratio()),
            encoded.blocks.to_string(),
            report::predictors(&encoded),
            format!("{:.2}", gbps(bytes, encoded.elapsed.as_secs_f64())),
            format!("{:.2}", gbps(bytes, verify)),
            format!("{:.2}", gbps(bytes, decoded.elapsed.as_secs_f64())),
        ]);
    }
    let header = [
        "model",
        "bytes",
        "coded",
        "size",
        "blocks",
        "tiles",
        "encode GB/s",
        "verify GB/s",
        "decode GB/s",
    ];
    report::print(&report::table(&header, &rows))?;
    report::print("\nEvery file came back byte for byte. Encoding includes a verification.")
}
