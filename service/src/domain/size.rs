//! Sizes in bytes, as people write and read them.

use std::fmt;
use std::str::FromStr;

const UNITS: [(&str, u64); 4] = [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];

/// A number of bytes. Written `20G`, `1.5T`, `500 MB` or `1048576`; units are powers of 1024, as PostgreSQL's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is not a size; write it as `20G`, `500M` or a number of bytes")]
pub struct InvalidSize;

impl FromStr for ByteSize {
    type Err = InvalidSize;

    fn from_str(text: &str) -> Result<Self, InvalidSize> {
        let text = text.trim().to_ascii_uppercase();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = unit.trim().trim_end_matches('B').trim_end_matches('I');
        let factor = match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, factor)) => *factor,
            None if unit.is_empty() => 1,
            None => return Err(InvalidSize),
        };
        let number: f64 = number.parse().map_err(|_| InvalidSize)?;
        let bytes = number * factor as f64;
        // Beyond 2^53 a float is no exact count any more; nobody has such a disk.
        if bytes.is_finite() && bytes <= (1_u64 << 53) as f64 {
            Ok(Self(bytes as u64))
        } else {
            Err(InvalidSize)
        }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((unit, factor)) = UNITS.iter().find(|(_, factor)| self.0 >= *factor) else {
            return write!(f, "{} B", self.0);
        };
        let number = self.0 as f64 / *factor as f64;
        let decimals = usize::from(number < 10.0);
        write!(f, "{number:.decimals$} {unit}B")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_sizes_in_many_ways() {
        let bytes = |text: &str| text.parse::<ByteSize>().map(|size| size.0);
        for (text, expected) in [
            ("20G", 20 << 30),
            ("20 GB", 20 << 30),
            ("20GiB", 20 << 30),
            ("1.5t", 3 << 39),
            ("500m", 500 << 20),
            ("64K", 64 << 10),
            ("1048576", 1 << 20),
            ("12 B", 12),
            ("0", 0),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "G", "-1G", "1.2.3G", "20X", "lots", "99999999999T"] {
            assert_eq!(bytes(text), Err(InvalidSize), "{text}");
        }
    }

    #[test]
    fn a_size_is_read_at_a_glance() {
        let shown = |bytes| ByteSize(bytes).to_string();
        assert_eq!(shown(0), "0 B");
        assert_eq!(shown(1023), "1023 B");
        assert_eq!(shown(8 << 20), "8.0 MB");
        assert_eq!(shown(12_345_678), "12 MB");
        assert_eq!(shown(20 << 30), "20 GB");
        assert_eq!(shown(3 << 39), "1.5 TB");
    }
}
