//! Sizes as people write them: `50G`.

use std::fmt;
use std::str::FromStr;

const UNITS: [(char, u32); 3] = [('T', 40), ('G', 30), ('M', 20)];

/// A number of bytes; read and shown in powers of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no size; write a whole number with M, G or T, as `50G`")]
pub struct SizeError(String);

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let upper = text.trim().to_ascii_uppercase();
        let short = upper.strip_suffix("IB").or_else(|| upper.strip_suffix('B')).unwrap_or(&upper);
        let read = UNITS.iter().find_map(|(letter, shift)| {
            let number = short.strip_suffix(*letter)?;
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(1 << shift)
        });
        read.filter(|bytes| *bytes > 0).map(Self).ok_or_else(|| SizeError(text.to_owned()))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, shift) = UNITS.into_iter().find(|(_, shift)| self.0 >> shift > 0).unwrap_or(UNITS[2]);
        let number = self.0 as f64 / (1_u64 << shift) as f64;
        let decimals = usize::from(number < 10.0 && number.fract() >= 0.05);
        write!(f, "{number:.decimals$}{letter}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown_as_people_write_them() {
        for (text, bytes) in [("50G", 50 << 30), ("500m", 500 << 20), ("1TiB", 1 << 40), (" 2GB ", 2 << 30)] {
            assert_eq!(text.parse::<Size>().map(|size| size.0), Ok(bytes), "{text}");
        }
        for text in ["", "G", "50", "50K", "-5G", "+5G", "1.5G", "0G", "99999999999T", "50 G", "5é"] {
            let error = text.parse::<Size>().unwrap_err();
            assert!(error.to_string().contains("as `50G`"), "{text}: {error}");
        }
        for (bytes, text) in [(50 << 30, "50G"), (3 << 29, "1.5G"), (300 << 20, "300M"), (0, "0M")] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
