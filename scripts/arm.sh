#!/usr/bin/env bash
# Checks and tests the kernels for 64-bit Arm on x86-64 Debian, by emulation: times mean nothing.
# Needs cargo, and root for apt-get. Arguments go to `cargo test`.
set -euo pipefail
cd "$(dirname "$0")/.."

target=aarch64-unknown-linux-gnu
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/arm-tools

# Debian's compiler, whose standard library there is for Arm too. Its packages are unpacked, not
# installed: they do not get along with other compilers, and dpkg need not know of Arm.
if [ ! -e "$tools/done" ]; then
    both=(-o APT::Architectures::=amd64 -o APT::Architectures::=arm64)
    apt-get -q "${both[@]}" update
    depends() { apt-cache depends "$1" | sed -n "s/.*Depends: \($2.*\)/\1/p"; }
    std=$(depends libstd-rust-web-dev libstd-rust-web-)
    apt-get -q install -y --no-install-recommends gcc-aarch64-linux-gnu libc6-dev-arm64-cross \
        qemu-user-static "$(depends "$std" libllvm)"
    rm -rf "$tools"
    mkdir -p "$tools/packages"
    (cd "$tools/packages" && apt-get -q "${both[@]}" download rustc-web rust-web-clippy "$std" \
        libstd-rust-web-dev libstd-rust-web-dev:arm64)
    for package in "$tools"/packages/*.deb; do
        dpkg-deb -x "$package" "$tools"
    done
    rm -r "$tools/packages"
    touch "$tools/done"
fi

export LD_LIBRARY_PATH=$tools/usr/lib/x86_64-linux-gnu
export RUSTC=$tools/usr/bin/rustc RUSTDOC=$tools/usr/bin/rustdoc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64-static -L /usr/aarch64-linux-gnu"
export PROPTEST_CASES=${PROPTEST_CASES:-64} WCODEC_TEST_LEVELS=scalar,neon

kernels=(--locked --package wcodec-kernels --target "$target")
"$tools/usr/bin/cargo-clippy" clippy "${kernels[@]}" -- -D warnings
cargo test "${kernels[@]}" "$@"
