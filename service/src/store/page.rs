//! Long lists, a page at a time.

use super::StoreError;
use super::query::{FromRow, get};

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// Counted from 1.
    pub number: u32,
    pub size: u32,
}

impl PageRequest {
    pub const fn first(size: u32) -> Self {
        Self { number: 1, size }
    }

    pub(super) fn limit(self) -> i64 {
        i64::from(self.size)
    }

    pub(super) fn offset(self) -> i64 {
        i64::from(self.number.saturating_sub(1)) * i64::from(self.size)
    }
}

/// Part of a list, with the length of the whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub total: i64,
    pub request: PageRequest,
}

impl<T> Page<T> {
    /// The number of the last page; 1 for an empty list.
    pub fn last(&self) -> u32 {
        let size = i64::from(self.request.size.max(1));
        u32::try_from((self.total + size - 1) / size).unwrap_or(u32::MAX).max(1)
    }
}

/// The one column `total` of a count.
pub(super) struct Total(pub i64);

impl FromRow for Total {
    fn from_row(row: &tokio_postgres::Row) -> Result<Self, StoreError> {
        Ok(Self(get(row, "total")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_counted_from_one() {
        let request = PageRequest { number: 3, size: 20 };
        assert_eq!((request.limit(), request.offset()), (20, 40));
        assert_eq!(PageRequest { number: 0, size: 20 }.offset(), 0);
        let of = |total| Page::<()> { items: vec![], total, request }.last();
        assert_eq!([of(0), of(1), of(20), of(21), of(400)], [1, 1, 1, 2, 20]);
    }
}
