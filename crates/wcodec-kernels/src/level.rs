//! Which instruction set the inner loops use.

use std::ffi::OsString;
use std::sync::OnceLock;

/// Environment variable that lowers [`Level::detect`]; it cannot raise it.
const VARIABLE: &str = "WCODEC_LEVEL";

/// An instruction-set level that this machine has. A value can only be had from the functions
/// here, which ask the processor first: holding one is the proof that `unsafe` code relies on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level {
    set: Set,
    /// Whether AVX-512 looks up numbers of 16 bits as such, not byte by byte. It is a matter of speed alone.
    numbers: bool,
}

/// What a level may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Set {
    Scalar,
    /// Advanced SIMD.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// AVX2, BMI1, BMI2, LZCNT, POPCNT.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// That, and AVX-512 F, BW, DQ, VL, VBMI, VBMI2 (Ice Lake, Zen 4 and later).
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Set {
    /// Rising.
    const ALL: &[Set] = &[
        Set::Scalar,
        #[cfg(target_arch = "aarch64")]
        Set::Neon,
        #[cfg(target_arch = "x86_64")]
        Set::Avx2,
        #[cfg(target_arch = "x86_64")]
        Set::Avx512,
    ];

    fn name(self) -> &'static str {
        match self {
            Set::Scalar => "scalar",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
        }
    }

    fn present(self) -> bool {
        match self {
            Set::Scalar => true,
            #[cfg(target_arch = "aarch64")]
            Set::Neon => {
                // The kernels read bytes as 16-bit words.
                cfg!(target_endian = "little") && std::arch::is_aarch64_feature_detected!("neon")
            }
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("lzcnt")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => {
                Set::Avx2.present()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx512vbmi2")
            }
        }
    }
}

impl Level {
    /// Portable code, and the definition of every result.
    pub const SCALAR: Level = Level { set: Set::Scalar, numbers: false };

    fn of(set: Set) -> Level {
        #[cfg(target_arch = "x86_64")]
        let numbers = set == Set::Avx512 && looks_up_numbers();
        #[cfg(not(target_arch = "x86_64"))]
        let numbers = false;
        Level { set, numbers }
    }

    /// The levels of this machine, and the variants that are not chosen on it.
    #[cfg(test)]
    pub(crate) fn variants() -> impl Iterator<Item = Level> {
        let avx512 = Level::available().filter(|level| level.name() == "avx512");
        let others = avx512.map(|level| Level { numbers: !level.numbers, ..level });
        Level::available().chain(others)
    }

    /// The levels of this machine, from scalar to the best.
    pub fn available() -> impl Iterator<Item = Level> {
        Set::ALL.iter().copied().filter(|set| set.present()).map(Level::of)
    }

    /// The level to use: the best of this machine, or a lower one that the environment variable
    /// `WCODEC_LEVEL` names. Found out once.
    #[must_use]
    pub fn detect() -> Level {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(|| Level::at_most(std::env::var(VARIABLE).ok().as_deref()))
    }

    /// What `WCODEC_LEVEL` says, if no level of this machine has that name: it lowers nothing then.
    #[must_use]
    pub fn unknown() -> Option<OsString> {
        let name = std::env::var_os(VARIABLE)?;
        let known = Level::available().any(|level| name.as_os_str() == level.name());
        (!known).then_some(name)
    }

    /// The best level not above the one named; a name that this machine's levels do not have
    /// lowers nothing.
    fn at_most(name: Option<&str>) -> Level {
        let best = Level::available().last().unwrap_or(Level::SCALAR);
        Level::available().find(|level| Some(level.name()) == name).unwrap_or(best)
    }

    /// The name used on the command line and in benchmark output.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.set.name()
    }

    pub(crate) fn set(self) -> Set {
        self.set
    }

    /// Whether AVX-512 should look up numbers of 16 bits as such.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn looks_up_numbers(self) -> bool {
        self.numbers
    }
}

/// Whether a look-up of numbers of 16 bits in 64 (VPERMI2W) takes no longer than one of bytes (VPERMB): on AMD's
/// processors, where it is one operation (measured on Zen 4); on Intel's it is three (uops.info).
#[cfg(target_arch = "x86_64")]
fn looks_up_numbers() -> bool {
    let vendor = std::arch::x86_64::__cpuid(0);
    [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"AuthenticAMD"
}

impl std::fmt::Debug for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Makes a portable function that is compiled once for each level: the compiler vectorises it with
/// what the level has. Generic parameters stand in brackets, first as declared, then by name.
macro_rules! compiled_for_levels {
    ($(#[$attr:meta])* $vis:vis fn $name:ident[$($gen:tt)*]($($arg:ident: $type:ty),* $(,)?)[$($by_name:tt)*] $body:block) => {
        $(#[$attr])*
        $vis fn $name<$($gen)*>(level: $crate::Level, $($arg: $type),*) {
            #[inline(always)]
            fn portable<$($gen)*>($($arg: $type),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
            fn avx2<$($gen)*>($($arg: $type),*) {
                portable::<$($by_name)*>($($arg),*);
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2")]
            fn avx512<$($gen)*>($($arg: $type),*) {
                portable::<$($by_name)*>($($arg),*);
            }

            match level.set() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level says that the processor has the instructions.
                $crate::level::Set::Avx512 => unsafe { avx512::<$($by_name)*>($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the level says that the processor has the instructions.
                $crate::level::Set::Avx2 => unsafe { avx2::<$($by_name)*>($($arg),*) },
                // NEON belongs to the baseline of its architecture.
                _ => portable::<$($by_name)*>($($arg),*),
            }
        }
    };
}
pub(crate) use compiled_for_levels;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_lowers_and_never_raises() {
        let best = Level::available().last().unwrap();
        assert_eq!(Level::at_most(None), best);
        assert_eq!(Level::at_most(Some("avx1024")), best);
        for level in Level::available() {
            assert_eq!(Level::at_most(Some(level.name())), level);
            assert!(level <= best);
        }
    }

    /// A runner that lacks a level must not let its twin tests pass unseen.
    #[test]
    fn levels_that_are_tested() {
        let names: Vec<_> = Level::available().map(Level::name).collect();
        println!("levels tested: {names:?}");
        assert_eq!(names[0], "scalar");
        if let Ok(wanted) = std::env::var("WCODEC_TEST_LEVELS") {
            for level in wanted.split(',') {
                assert!(names.contains(&level), "level {level} is not tested here");
            }
        }
    }
}
