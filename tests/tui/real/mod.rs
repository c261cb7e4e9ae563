//! Journeys on real floors and real files: keys in, screens and files on disk asserted. One for each
//! operation, each tier of consent, and what goes wrong in the middle.

mod alive;
mod operations;
mod trouble;
mod yard;
