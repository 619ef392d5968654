//! A branch looks to Prisma exactly as if Prisma had deployed it.
//!
//! One side is `offshoot preview` on a git repository. The other is production: Prisma's own engine deploys the base's chain, then the
//! head's, into a database of the same server. Afterwards Prisma itself is asked about both, and the two are compared.

mod bench;
pub mod case;
pub mod chains;
mod odd;
mod properties;
mod samples;
