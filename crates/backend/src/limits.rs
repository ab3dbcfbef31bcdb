//! S3's own limits, as its user guide states them.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>

/// Longest key in bytes of UTF-8.
pub const KEY_BYTES_MAX: usize = 1024;
/// Most bytes that one PutObject, UploadPart or copied part may carry: 5 GiB.
pub const BODY_BYTES_MAX: u64 = 5 << 30;
/// Largest object: 5 TiB.
pub const OBJECT_BYTES_MAX: u64 = 5 << 40;
/// Smallest part that may be followed by another: 5 MiB.
pub const PART_BYTES_MIN: u64 = 5 << 20;
/// Most parts of an upload, and the highest part number.
pub const PARTS_MAX: u32 = 10_000;
/// Most bytes of user metadata: names without prefix and values together.
pub const USER_METADATA_BYTES_MAX: usize = 2 * 1024;
/// Most tags of an object.
pub const TAGS_MAX: usize = 10;
/// Longest tag key in characters.
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Longest tag value in characters.
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// Most rows of one page of a listing.
pub const PAGE_ROWS_MAX: usize = 1000;
/// Most keys of one DeleteObjects.
pub const DELETE_KEYS_MAX: usize = 1000;
