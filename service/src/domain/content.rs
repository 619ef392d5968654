//! A file's content as git has it, with what is asked of it again and again.

use bytes::Bytes;

use super::chain::Checksum;

/// A file's bytes and what Prisma makes of them. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    bytes: Bytes,
    checksum: Checksum,
    /// What Prisma reads where the bytes are not UTF-8.
    replaced: Option<(Bytes, Checksum)>,
}

impl Content {
    pub fn new(bytes: Bytes) -> Self {
        let replaced = std::str::from_utf8(&bytes).is_err().then(|| {
            let text = Bytes::from(String::from_utf8_lossy(&bytes).into_owned());
            let checksum = Checksum::of(&text);
            (text, checksum)
        });
        Self { checksum: Checksum::of(&bytes), bytes, replaced }
    }

    /// The bytes as they are.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The SHA-256 of the bytes as they are.
    pub fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    /// The file as Prisma's CLI reads it, and that text's checksum: bytes that are not UTF-8 become U+FFFD, and that is what is run and hashed.
    pub fn as_prisma_reads_it(&self) -> (&Bytes, &Checksum) {
        match &self.replaced {
            Some((text, checksum)) => (text, checksum),
            None => (&self.bytes, &self.checksum),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf8_is_read_as_prisma_does() {
        let plain = Content::new(Bytes::from_static("é".as_bytes()));
        assert_eq!(plain.as_prisma_reads_it(), (plain.bytes(), plain.checksum()));
        let latin = Content::new(Bytes::from_static(b"caf\xe9"));
        let (text, checksum) = latin.as_prisma_reads_it();
        assert_eq!(text, "caf\u{fffd}".as_bytes());
        assert_eq!(checksum, &Checksum::of("caf\u{fffd}".as_bytes()));
        assert_eq!(latin.checksum(), &Checksum::of(b"caf\xe9"));
    }
}
