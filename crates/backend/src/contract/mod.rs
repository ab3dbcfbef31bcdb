//! What every implementation promises, as tests to be run by each.
//!
//! The cases of [`s3_contract!`](crate::s3_contract) speak S3 as a client does: they must pass on a bare
//! store, on an encrypting wrapper over it, and on a wrapper over a remote, with the same results. Those of
//! [`seam_contract!`](crate::seam_contract) ask what a wrapper asks of the store beneath it.
//!
//! ```ignore
//! async fn subject() -> Subject<MyStore> { Subject::new(my_store, my_temporary_directory) }
//! strongroom_backend::s3_contract!(subject);
//! strongroom_backend::seam_contract!(subject);
//! ```
#![expect(
    missing_docs,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "cases are named after what they claim, and fail by panicking"
)]

mod client;

pub mod buckets;
pub mod conditions;
pub mod copies;
pub mod integrity;
pub mod listings;
pub mod multipart;
pub mod objects;
pub mod ranges;
pub mod seam;
pub mod seam_uploads;
pub mod tagging;

use std::any::Any;
use std::sync::Arc;

use s3s::S3;

/// An implementation under test, empty, and what it needs to stay alive.
pub struct Subject<S> {
    /// The implementation.
    pub store: Arc<S>,
    /// Name of a bucket that does not exist yet.
    pub bucket: String,
    /// ETags are the MD5s that S3 promises; else they are opaque.
    pub md5_etags: bool,
    /// What must live as long: dropped with the subject.
    pub keep: Box<dyn Any + Send + Sync>,
}

impl<S> std::fmt::Debug for Subject<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject")
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

impl<S: S3> Subject<S> {
    /// `keep` is dropped with the subject: a temporary directory, a server.
    pub fn new(store: S, keep: impl Any + Send + Sync) -> Self {
        Self {
            store: Arc::new(store),
            bucket: "contract".to_owned(),
            md5_etags: true,
            keep: Box::new(keep),
        }
    }
}

/// Makes one test of every case about S3. `$make` is an async function of the surrounding module that
/// gives a fresh [`Subject`].
#[macro_export]
macro_rules! s3_contract {
    ($make:ident) => {
        $crate::contract_cases! { $make =>
            buckets {
                a_bucket_is_made_listed_and_deleted,
                a_bucket_that_is_not_there_is_said_to_be_missing,
                a_bucket_with_objects_is_not_deleted,
                what_is_not_configured_is_said_so,
            }
            objects {
                an_object_comes_back_with_its_headers,
                bodies_of_every_edge_length_come_back,
                an_overwrite_replaces_everything,
                a_missing_object_is_said_to_be_missing,
                a_delete_is_final_and_may_be_repeated,
                many_deletes_are_answered_key_by_key,
                lesson_46_conditions_of_many_deletes_fail_key_by_key,
                a_body_that_fails_leaves_no_trace,
                a_reader_keeps_its_generation,
                odd_keys_live_side_by_side,
                keys_and_metadata_are_held_to_their_limits,
                lesson_41_aws_chunked_does_not_come_back,
                attributes_are_those_asked_for,
            }
            ranges {
                ranges_are_of_the_visible_bytes,
                ranges_outside_are_not_satisfiable,
                an_empty_object_has_no_range,
                a_whole_object_is_its_own_first_part,
                answers_take_the_headers_that_the_request_names,
            }
            conditions {
                reads_obey_conditions,
                writes_obey_conditions,
                deletes_obey_conditions,
                of_fifty_creations_exactly_one_wins,
            }
            listings {
                listings_agree_with_a_slow_model,
                a_page_tells_sizes_etags_and_owner,
                odd_parameters_are_answered_as_s3_does,
                keys_are_encoded_when_asked,
                versions_of_an_unversioned_bucket_are_null,
            }
            multipart {
                parts_become_one_object,
                lesson_40_gaps_unaligned_sizes_and_an_empty_last_part_are_legal,
                a_part_uploaded_again_is_the_one_that_is_listed,
                lesson_45_a_repeated_complete_answers_the_same,
                an_aborted_upload_is_gone,
                lists_of_parts_that_break_the_rules_are_refused,
                parts_and_uploads_are_listed_in_pages,
                lesson_48_checksums_of_parts_make_that_of_the_whole,
                parts_are_read_by_number,
                a_complete_obeys_conditions,
            }
            copies {
                a_copy_takes_bytes_headers_and_tags,
                a_copy_replaces_what_its_directives_say,
                a_copy_onto_itself_must_change_something,
                a_copy_obeys_conditions_on_its_source,
                parts_are_copied_by_range,
            }
            integrity {
                lesson_43_a_wrong_digest_stores_nothing,
                lesson_42_checksums_come_back_with_their_type,
                a_wrong_length_stores_nothing,
                a_checksum_that_is_not_computed_is_refused,
                an_object_without_a_checksum_gets_one,
            }
            tagging {
                tags_are_set_replaced_and_removed,
            }
        }
    };
}

/// Makes one test of every case about the seam. `$make` as for [`s3_contract!`](crate::s3_contract).
#[macro_export]
macro_rules! seam_contract {
    ($make:ident) => {
        $crate::contract_cases! { $make =>
            seam {
                an_object_keeps_its_envelope,
                a_body_that_tells_no_etag_commits_nothing,
                a_body_of_another_length_commits_nothing,
                an_envelope_is_replaced_only_at_its_generation,
                preconditions_are_checked_at_the_commit,
                an_open_object_survives_overwrite_and_delete,
                listings_carry_envelopes,
                records_are_swapped_by_generation,
                records_are_beyond_the_reach_of_clients,
            }
            seam_uploads {
                attempts_are_kept_and_chosen,
                a_footer_follows_the_last_part,
                a_complete_checks_its_precondition,
                an_upload_belongs_to_its_key,
                an_aborted_upload_takes_its_parts_along,
            }
        }
    };
}

/// How the two above write their tests.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_cases {
    ($make:ident => $($module:ident { $($case:ident),+ $(,)? })+) => {$(
        mod $module {
            $(
                #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::contract::$module::$case(super::$make().await).await;
                }
            )+
        }
    )+};
}
