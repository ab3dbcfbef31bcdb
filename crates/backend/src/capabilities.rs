/// What a backend can do beyond the plain operations. A wrapper refuses in words what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a list of independent facts, each asked by name"
)]
pub struct Capabilities {
    /// `put` honours a [`Precondition`](crate::put::Precondition) atomically.
    pub conditional_put: bool,
    /// `complete_upload` honours a precondition atomically.
    pub conditional_complete: bool,
    /// `delete` honours a precondition atomically.
    pub conditional_delete: bool,
    /// Keys may have empty, `.` and `..` segments, and `a` may live beside `a/b`.
    pub any_key: bool,
    /// Objects whose key ends in `/` keep their metadata and envelope.
    pub folder_marker_metadata: bool,
    /// Stored ETags are kept as given, so a wrapper may choose them.
    pub chosen_etags: bool,
    /// Most bytes that envelope and user metadata may have together; `None`: S3's own limits only.
    pub metadata_bytes_max: Option<usize>,
}
