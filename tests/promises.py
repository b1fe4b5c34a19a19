"""What the product survives: 54 promises, each with the tests that show it.

    python -m tests.promises             writes docs/faults.md
    python -m tests.promises U1 P3       runs the tests of these promises, slow ones included;
                                         fails also if all tests of a promise were skipped

`tests/test_promises.py` fails if a promise has no test, a test is gone, or the page is stale.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "faults.md"
AREAS = {
    "U": "Files and texts that users bring",
    "T": "Learning",
    "P": "Maps and jobs on the disk",
    "I": "Strengths",
    "S": "Several visitors",
    "X": "Attacks",
    "E": "The machine around it",
}


class Promise(NamedTuple):
    """A promise in one sentence, and its tests: `folder/test_file.py::name` or `::name`.

    A name without a file is in the file before it. Without any test, `lacks` says why.
    """

    text: str
    tests: tuple[str, ...] = ()
    lacks: str = ""


PROMPTS, STORAGE = "core/prompts/test_prompts.py", "core/storage/test_storage.py"
JOBS, UPLOADS, SECURITY = "app/jobs/test_jobs.py", "app/test_uploads.py", "app/test_security.py"
LEARN, TURNS, BLOCKS = "core/learning/test_learn.py", "app/test_turns.py", "app/test_blocks.py"
STUDIO, ARCHIVE = "app/studio/test_studio.py", "app/studio/test_archive.py"
AFFINE, HOOKS = "core/steering/test_affine.py", "core/steering/test_hooks.py"
CLI, NETWORK = "core/test_cli.py", "core/models/test_no_network.py"
PUBLISHING = "core/storage/test_publishing.py"
STRANGE, PLAUSIBLE = "app/studio/test_strange_files.py", "app/studio/test_plausible.py"

PROMISES = {
    "U1": Promise(
        "A text in UTF-8 or with a byte order mark gives the same prompts with any line ending; "
        "any other encoding is refused with byte and line.",
        (
            f"{PROMPTS}::test_every_line_ending_reads_alike",
            "::test_a_text_with_a_byte_order_mark_reads_like_its_utf8_twin",
            "::test_another_encoding_is_refused_with_byte_and_line",
            "::test_a_lone_surrogate_in_a_text_box_is_refused_with_its_line",
        ),
    ),
    "U2": Promise(
        "A file that is not text is recognised by its content, whatever its name says.",
        (
            f"{PROMPTS}::test_binary_content_is_refused_whatever_its_suffix",
            "::test_any_bytes_are_read_or_refused",
            "browser/test_flow.py::test_a_binary_upload_is_one_sentence_and_loses_nothing",
        ),
    ),
    "U3": Promise(
        "Files, prompts and requests beyond their limits are refused fast, in little memory.",
        (
            f"{PROMPTS}::test_an_oversized_file_is_refused_quickly_in_little_memory",
            f"{SECURITY}::test_a_body_that_is_too_large_is_cut_off",
        ),
    ),
    "U4": Promise(
        "A mistake in a CSV file is named with its line and what was expected there.",
        (
            f"{PROMPTS}::test_a_csv_mistake_is_named_with_its_line_and_remedy",
            "::test_a_header_without_rows_holds_too_few_prompts",
            "::test_a_quoted_newline_in_a_csv_cell_stays_as_it_is",
        ),
    ),
    "U5": Promise(
        "A mistake in a JSON file is named with its line, however deep it is nested.",
        (
            f"{PROMPTS}::test_a_json_mistake_is_refused_with_its_line",
            "::test_a_jsonl_mistake_is_refused_with_its_line",
            f"{BLOCKS}::test_what_is_deeply_nested_is_answered",
        ),
    ),
    "U6": Promise(
        "An archive or a picture that is small on disk and huge in memory is never unpacked.",
        (
            f"{ARCHIVE}::test_an_entry_that_lies_about_its_size_is_not_inflated",
            "::test_a_method_that_inflates_at_once_is_refused",
            "::test_what_is_too_large_is_refused_before_it_is_unpacked",
            "core/storage/test_png_text.py::test_neither_pixels_nor_packed_texts_are_unpacked",
            "app/library/test_html.py::test_a_huge_picture_leaves_the_others",
        ),
    ),
    "U7": Promise(
        "Too few prompts are refused; equal, repeated, blank and unequal sides are learnt from, "
        "and said to be so; pairs stay pairs.",
        (
            f"{PROMPTS}::test_fewer_than_two_prompts_on_a_side_are_refused",
            "::test_blanks_and_duplicates_are_dropped_counted_and_placed",
            "::test_pairs_stay_pairs_whatever_is_dropped",
            "app/learn/test_upload_handlers.py::"
            "test_pairs_that_repeat_a_prompt_are_learnt_from_as_pairs",
            f"{PROMPTS}::test_what_there_is_to_know_about_a_set_is_noted",
            f"{LEARN}::test_unequal_set_sizes_and_mini_batches_work_together",
            "::test_equal_sets_leave_the_network_as_it_is",
        ),
    ),
    "U8": Promise(
        "A prompt beyond the context of a model is cut, and that is shown; unusual characters "
        "are kept as they are.",
        (
            "core/models/test_language.py::test_an_overlong_prompt_is_cut_and_counted",
            "::test_a_prompt_that_only_its_chat_template_makes_too_long_is_told",
            f"{CLI}::test_turns_of_a_chat_that_are_cut_are_told_before_they_are_learnt_from",
            "core/models/test_text_to_image.py::test_an_overlong_prompt_is_cut_and_counted",
            f"{STUDIO}::test_a_prompt_that_is_cut_is_told",
            f"{PROMPTS}::test_a_text_is_kept_character_by_character",
        ),
    ),
    "U9": Promise(
        "A name of any kind is shown as it is and chooses no place on the disk.",
        (
            "app/studio/test_user_maps.py::"
            "test_an_imported_map_lies_in_a_folder_that_its_title_does_not_choose",
            "::test_a_title_becomes_the_name_of_a_file",
            f"{ARCHIVE}::test_a_name_that_leads_out_of_the_folder_is_refused",
        ),
    ),
    "U10": Promise(
        "Uploads have a quota for each visitor and for all, known types only, and leave the disk "
        "some space; unfinished ones are dropped.",
        (
            f"{UPLOADS}::test_a_flood_of_one_visitor_ends_at_a_quota_and_takes_nobody_else_s",
            "::test_only_files_that_the_page_reads_are_stored",
            "::test_the_last_space_of_the_disk_is_not_filled",
            "::test_an_upload_that_does_not_go_on_is_answered_and_dropped",
            "::test_an_upload_that_trickles_is_dropped",
            "::test_an_upload_that_is_cut_off_or_too_large_leaves_no_file",
            "::test_files_are_taken_at_one_place_only",
        ),
    ),
    "T1": Promise(
        "A run whose loss explodes goes back and continues more slowly; if that does not help, "
        "it ends with its best maps.",
        (
            f"{LEARN}::test_a_step_that_explodes_goes_back_and_halves_the_rate",
            "::test_a_run_that_keeps_diverging_ends_with_the_best_maps",
            "::test_activations_that_are_not_finite_at_the_start_are_named",
            f"{JOBS}::test_a_diverged_job_fails_and_keeps_its_best_map_also_when_it_is_resumed",
        ),
    ),
    "T2": Promise(
        "A coordinate without any spread is shifted, and nothing is divided by it.",
        (f"{LEARN}::test_a_dead_coordinate_is_shifted_and_never_divided_by",),
    ),
    "T3": Promise(
        "A setting out of range is refused with the range, on the server as well.",
        (
            f"{LEARN}::test_a_setting_out_of_range_names_the_range",
            "app/learn/test_form_handlers.py::"
            "test_a_form_that_cannot_work_is_refused_in_one_sentence",
            f"{BLOCKS}::test_every_wrong_value_is_answered_with_a_sentence",
        ),
    ),
    "T4": Promise(
        "A penalty so strong that it selects nothing gives the identity, and the report says so.",
        (
            f"{LEARN}::test_sparsity_keeps_the_coordinates_that_tell_the_sets_apart",
            "app/learn/test_report.py::test_the_report_of_an_identity_says_so",
        ),
    ),
    "T5": Promise(
        "A job can be stopped at any moment, also in the middle of a save and twice, and keeps "
        "its best map.",
        (
            "app/jobs/test_stop_while_saving.py::"
            "test_a_stop_in_the_moment_of_a_save_loses_nothing",
            f"{CLI}::test_a_run_that_a_scheduler_ends_saves_the_best_so_far",
            "::test_a_stop_while_the_map_is_saved_costs_no_map",
            f"{JOBS}::test_a_job_stopped_in_the_queue_never_runs",
            "::test_a_stopped_job_keeps_its_best_map",
            "::test_a_stop_while_the_model_is_loaded_acts_at_once_and_the_next_job_runs",
        ),
    ),
    "T6": Promise(
        "A run that is killed and resumed ends with the same map, bit for bit.",
        (
            f"{JOBS}::test_a_job_stopped_killed_and_resumed_ends_with_the_very_same_map",
            "::test_a_damaged_checkpoint_costs_a_few_iterations_and_not_the_run",
            f"{LEARN}::test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit",
            "app/jobs/test_checkpoints.py::"
            "test_a_process_that_is_killed_while_saving_leaves_a_whole_checkpoint",
        ),
    ),
    "T7": Promise(
        "No worker outlives a killed server, and its jobs are there after the next start.",
        (
            f"{JOBS}::test_the_worker_ends_when_its_server_is_gone",
            "::test_the_queue_of_a_killed_server_is_taken_over",
        ),
    ),
    "T8": Promise(
        "After an error within a pass the model is unsteered, to the last bit.",
        (
            f"{HOOKS}::test_an_exception_inside_the_pass_leaves_no_hook_behind",
            "::test_hooks_are_gone_after_an_exception",
            "core/steering/test_folding.py::"
            "test_the_network_comes_back_untouched_after_a_thousand_moves_and_an_exception",
            f"{LEARN}::test_an_abandoned_run_leaves_no_hook_behind",
        ),
    ),
    "T9": Promise(
        "Memory that runs out costs one request or halves the chunks once; the sentence says "
        "what to change, and work goes on.",
        (
            "core/runtime/test_memory_limit.py::"
            "test_a_process_that_may_not_grow_says_so_and_works_on",
            "core/runtime/test_memory.py::"
            "test_a_run_without_memory_halves_its_chunks_once_by_itself",
            "::test_memory_that_runs_out_anywhere_is_one_sentence",
            f"{JOBS}::test_a_model_that_does_not_fit_into_memory_says_what_to_change",
        ),
    ),
    "T10": Promise(
        "Jobs run one after another in the order in which they came, whatever the clock says; "
        "nobody fills the queue alone.",
        (
            f"{JOBS}::test_jobs_wait_in_the_order_in_which_they_came",
            "::test_the_workers_of_two_servers_take_turns",
            "app/jobs/test_heartbeats.py::"
            "test_jobs_run_in_the_order_in_which_they_came_though_the_clock_is_set_back",
            "app/learn/test_limits.py::test_nobody_fills_the_queue_alone",
        ),
    ),
    "T11": Promise(
        "A worker that hangs is recognised and replaced, also if the clock is set meanwhile.",
        (
            f"{JOBS}::test_a_worker_that_hangs_is_recognised_and_replaced",
            "app/jobs/test_heartbeats.py::"
            "test_a_job_is_hung_after_the_same_time_whatever_the_clock_says",
        ),
    ),
    "P1": Promise(
        "A process that is killed in a save leaves the old map or the new one with all its "
        "files; what is unfinished is swept at the next start of the page.",
        (
            f"{STORAGE}::test_the_texts_of_a_map_are_those_of_its_weights_after_a_kill",
            "::test_a_new_map_appears_whole_or_not_at_all",
            "::test_a_kill_between_two_renames_costs_no_map",
            "::test_a_map_is_loaded_after_a_kill_between_two_renames",
            "::test_what_a_kill_after_both_renames_has_left_hinders_no_later_save",
            "app/studio/test_user_maps.py::"
            "test_a_killed_server_s_bin_and_unfinished_files_are_swept_at_the_next_start",
        ),
    ),
    "P2": Promise(
        "A full, faulty or read-only disk is one sentence; the old content stays, and work goes "
        "on once there is space.",
        (
            "core/storage/test_disk_errors.py::"
            "test_a_save_that_fails_anywhere_keeps_the_map_whole",
            "::test_the_remedy_fits_the_error",
            f"{STORAGE}::test_a_full_disk_changes_no_file_of_the_map",
            f"{JOBS}::"
            "test_a_disk_that_fills_up_fails_the_job_with_the_reason_and_later_all_goes_on",
            "app/studio/test_votes.py::test_a_full_disk_is_said_and_costs_no_earlier_vote",
        ),
    ),
    "P3": Promise(
        "A map that is cut or has a changed byte, also in its metadata, is refused or is the same "
        "map; one of an early version has no checksum of its metadata.",
        (
            f"{STORAGE}::test_every_cut_and_every_flipped_byte_is_refused_or_harmless",
            "::test_metadata_with_one_changed_letter_are_refused",
            "::test_a_file_that_is_cut_is_not_listed_either",
        ),
    ),
    "P4": Promise(
        "A file of another kind is refused with what it is, and nothing in it is executed.",
        (
            f"{STORAGE}::test_a_foreign_or_hostile_file_is_refused_in_one_sentence",
            f"{ARCHIVE}::test_what_is_no_map_at_all_is_refused",
            "core/models/test_judges.py::test_a_pickle_with_code_is_refused",
        ),
    ),
    "P5": Promise(
        "A header that lies about keys, types, sizes or values is refused by our own reader, and "
        "what this reader would refuse is not saved.",
        (
            f"{STORAGE}::test_a_foreign_or_hostile_file_is_refused_in_one_sentence",
            "::test_values_that_could_harm_are_not_saved",
            "::test_what_could_not_be_read_back_is_refused_and_replaces_nothing",
            "::test_low_rank_maps_of_a_real_model_are_read_back",
            "::test_maps_of_a_mixture_with_thousands_of_modules_are_read_back",
        ),
    ),
    "P6": Promise(
        "A map of other weights is refused with the modules that differ; one that does not say "
        "which weights it belongs to comes with a warning.",
        (
            f"{STORAGE}::test_the_modules_whose_weights_differ_are_named",
            "::test_other_weights_of_the_same_model_are_told_by_both_fingerprints",
            "::test_a_map_without_a_fingerprint_is_accepted_with_a_warning_if_it_fits",
            f"{PLAUSIBLE}::test_the_tabs_warn_of_a_map_without_a_fingerprint",
        ),
    ),
    "P7": Promise(
        "A map with values that no learnt map has steers nothing before the user confirms it.",
        (
            f"{PLAUSIBLE}::test_nothing_is_steered_by_a_map_that_is_not_confirmed",
            "::test_a_gallery_leaves_out_what_is_not_confirmed_and_says_so",
            "::test_a_confirmation_holds_for_these_values_only",
            f"{CLI}::test_a_map_with_implausible_values_steers_with_a_note",
        ),
    ),
    "P8": Promise(
        "Maps and data folders of every earlier version are read; newer maps are refused with "
        "their version.",
        (
            "app/studio/test_old_data_folder.py::test_jobs_maps_and_votes_are_found",
            "::test_its_stopped_job_goes_on_from_its_checkpoint",
            "::test_its_map_steers_and_can_be_renamed",
            f"{STORAGE}"
            "::test_a_file_of_an_earlier_release_has_no_checksum_of_its_metadata_and_is_read",
            f"{STORAGE}::test_a_foreign_or_hostile_file_is_refused_in_one_sentence",
        ),
    ),
    "P9": Promise(
        "Pipes, links and other writers in the folder of the data do no harm: nothing waits, "
        "nothing outside is read or changed, and the last save wins as a whole.",
        (
            f"{STRANGE}::test_a_pipe_in_place_of_a_file_is_damage_and_nothing_waits_for_it",
            "::test_a_map_with_a_link_is_not_listed_and_its_target_is_never_shown",
            "::test_a_hard_link_elsewhere_keeps_its_content",
            f"{STORAGE}::test_of_two_processes_that_save_the_same_map_one_wins_whole",
        ),
    ),
    "P10": Promise(
        "The list of maps is made from their headers, needs no index, and names what is damaged.",
        (
            "app/studio/test_user_maps.py::test_a_listing_reads_headers_and_a_changed_map_again",
            "app/library/test_handlers.py::"
            "test_many_maps_are_shown_in_pages_and_the_chosen_one_is_on_the_first_shown",
            "::test_a_map_that_cannot_be_read_is_told_of_and_the_others_are_there",
        ),
    ),
    "I1": Promise(
        "A coordinate whose scale is nearly zero is not steered backwards, and is counted.",
        (
            f"{AFFINE}::test_a_coordinate_without_inverse_stays_untouched_for_negative_strength",
            "::test_inverse_after_map_is_the_identity_where_invertible",
        ),
    ),
    "I2": Promise(
        "Negative scales are counted, and their inverse is exact.",
        (
            f"{AFFINE}::test_reflected_coordinates_are_counted",
            "::test_inverse_after_map_is_the_identity_where_invertible",
        ),
    ),
    "I3": Promise(
        "A strength that is not a number from -1 to 1 is refused on the page, at the endpoints "
        "and on the command line; the library refuses what is no finite number.",
        (
            f"{BLOCKS}::test_every_wrong_value_is_answered_with_a_sentence",
            f"{AFFINE}::test_a_strength_that_is_no_number_is_refused",
            f"{CLI}::test_a_strength_that_is_not_finite_is_refused",
            "::test_a_strength_beyond_one_is_refused_by_every_command",
            "app/studio/test_mix.py::test_a_strength_is_a_number_from_minus_one_to_one",
        ),
    ),
    "I4": Promise(
        "Strength 0 is the untouched model to the last bit, also after a thousand moves; the "
        "order of several maps counts.",
        (
            f"{HOOKS}::test_steering_at_zero_strength_is_bit_equal_and_registers_nothing",
            "core/steering/test_folding.py::"
            "test_the_network_comes_back_untouched_after_a_thousand_moves_and_an_exception",
            f"{AFFINE}::test_composition_applies_the_first_concept_first",
        ),
    ),
    "S1": Promise(
        "Visitors at different strengths, maps and models get what each would get alone.",
        (
            f"{STUDIO}::test_others_can_write_between_two_tokens_and_change_nothing",
            "::test_others_can_write_between_two_tokens_of_rates_and_change_nothing",
            "browser/test_images.py::test_two_visitors_at_different_strengths_do_not_meet",
        ),
    ),
    "S2": Promise(
        "A visitor who floods the page is refused in a sentence and holds nobody else up.",
        (
            f"{TURNS}::test_a_picture_comes_while_another_visitor_floods",
            "::test_whoever_floods_the_page_with_galleries_is_refused_too",
            "::test_too_many_requests_are_refused_and_the_rest_is_served",
            "::test_many_sessions_of_one_address_share_what_one_address_gets",
            f"{UPLOADS}::test_uploads_that_have_just_begun_count_in_full",
        ),
    ),
    "S3": Promise(
        "Learning goes on while the page is closed, reloaded, or its server started again.",
        (
            "browser/test_flow.py::test_a_style_is_learnt_across_a_reload_and_then_steers",
            "browser/test_images.py::test_a_job_is_stopped_and_resumed_and_a_second_tab_sees_it",
            "app/test_sessions.py::test_a_page_that_an_earlier_server_opened_goes_on",
        ),
    ),
    "S4": Promise(
        "Work for a page that has been closed ends, and the model is free again.",
        (
            f"{STUDIO}::test_a_closed_tab_gives_back_lock_and_hooks",
            f"{TURNS}::test_work_ends_when_its_client_leaves",
            "browser/test_flow.py::test_a_closed_tab_frees_the_model",
        ),
    ),
    "S5": Promise(
        "Visitors do not see or change each other's maps and jobs.",
        lacks="The page has one login and one library, which all its visitors share.",
    ),
    "S6": Promise(
        "An answer never replaces that to a newer request, and Stop never replaces the last one.",
        (
            "app/images/test_handlers.py::test_a_newer_wish_saves_the_strip_of_the_older",
            "::test_figures_of_a_picture_that_is_no_longer_wanted_are_not_shown",
            "app/text/test_handlers.py::test_a_newer_wish_ends_the_older_writing",
            "app/widgets/test_stop_button.py::test_the_order_of_the_answers_does_not_matter",
            "browser/test_batch.py::test_a_batch_is_stopped_and_what_is_done_is_kept",
        ),
    ),
    "S7": Promise(
        "A click is answered also in the moment in which the stream of earlier answers ends, a "
        "menu that is left without a choice changes nothing, and a picture comes as a whole while "
        "others are shown it.",
        (
            "app/test_streams.py"
            "::test_what_is_asked_for_right_after_an_answer_is_answered_on_the_same_stream",
            "::test_what_is_asked_for_while_a_stream_ends_is_taken_up_after_its_end",
            "::test_a_step_of_an_answer_changes_no_value_of_the_one_before",
            "::test_no_browser_keeps_a_stream_in_its_cache",
            "app/test_picture_files.py::test_a_picture_that_is_shown_again_is_not_written_again",
            "browser/test_menus.py"
            "::test_prompts_edited_after_a_set_was_loaded_stay_when_its_menu_is_left",
            "::test_the_choice_of_a_column_is_asked_for_once",
        ),
    ),
    "X1": Promise(
        "No id, name or path in a request leads out of its folder.",
        (
            f"{BLOCKS}::test_every_wrong_value_is_answered_with_a_sentence",
            f"{JOBS}::test_an_id_that_is_not_ours_is_refused_everywhere",
            "app/studio/test_user_maps.py::test_an_id_that_is_not_the_users_is_refused",
            "app/studio/test_old_data_folder.py::test_an_id_that_names_no_map_is_one_sentence",
        ),
    ),
    "X2": Promise(
        "No request makes the server call an address that a visitor chooses.",
        (
            "app/test_outgoing.py::test_no_request_makes_the_page_call_an_address",
            "app/test_demo.py::"
            "test_a_visitor_cannot_make_the_server_look_into_folders_or_at_the_hub",
            "app/studio/test_user_maps.py::"
            "test_a_stranger_does_not_choose_what_this_machine_loads",
        ),
    ),
    "X3": Promise(
        "Markup in any text of a user, a model or a file is shown as text.",
        (
            "browser/test_flow.py::test_markup_is_shown_as_text",
            "browser/test_images.py::test_markup_in_a_prompt_is_painted_and_not_run",
            "app/library/test_html.py::test_no_markup_of_a_map_reaches_the_page",
            "app/text/test_handlers.py::test_no_markup_of_a_text_reaches_the_page",
            "::test_a_notice_shows_markup_as_text",
        ),
    ),
    "X4": Promise(
        "Another web page can neither write with the login of a visitor nor read an answer.",
        (
            f"{SECURITY}::test_other_pages_cannot_write_with_the_login_of_a_visitor",
            "::test_no_other_page_may_read_an_answer_or_show_the_page_in_a_frame",
            "::test_other_sites_cannot_send_the_cookies_along",
            "app/test_mcp.py::test_other_pages_cannot_use_the_tools",
        ),
    ),
    "X5": Promise(
        "Guessed passwords stop after five, for their address alone; a page that others can "
        "reach does not start without a login.",
        (
            f"{SECURITY}::test_guesses_from_one_address_stop_there_and_lock_nobody_else_out",
            "app/test_launch.py::test_a_public_page_without_a_login_does_not_start",
        ),
    ),
    "X6": Promise(
        "No request can forge a line of the log, move a cursor with it, or flood it.",
        (
            f"{BLOCKS}::test_no_request_can_forge_or_flood_the_log",
            f"{SECURITY}::test_control_characters_in_an_address_do_not_reach_the_log",
            "app/test_launch.py::test_the_log_of_a_public_page_has_no_line_of_a_visitor",
        ),
    ),
    "X7": Promise(
        "The token of the hub is in no page, answer, file or log.",
        (
            "app/test_outgoing.py::test_the_token_is_told_to_nobody",
            f"{NETWORK}::test_a_hub_that_refuses_is_one_sentence",
        ),
    ),
    "X8": Promise(
        "Code that a model brings, in its files or in pickled weights, is refused and never run.",
        (
            "core/models/test_pipelines.py::"
            "test_a_pipeline_that_brings_code_is_refused_and_never_run",
            "::test_a_pickle_that_holds_anything_else_is_refused_and_never_run",
            "::test_pickled_weights_in_a_folder_are_not_read",
            "core/models/test_converted.py::test_code_in_pickled_weights_is_refused_and_never_run",
            "::test_code_in_pickled_weights_of_the_hub_is_refused_and_never_run",
        ),
    ),
    "X9": Promise(
        "A map of the hub passes the checks of any other, and nothing else of its repository is "
        "downloaded.",
        (
            f"{PUBLISHING}::test_a_map_of_the_hub_is_checked_like_any_other",
            "::test_a_huge_file_is_not_even_downloaded",
            "::test_only_the_files_of_a_map_are_downloaded",
            "::test_a_folder_that_exists_wins_and_a_path_is_never_on_the_hub",
        ),
    ),
    "X10": Promise(
        "A visitor of a public demo changes nothing that the server keeps.",
        (
            "app/test_demo.py::test_whatever_changes_something_is_refused_and_nothing_changes",
            "::test_there_is_no_endpoint_that_learns",
            "::test_no_way_leads_to_a_job",
            "::test_a_vote_is_answered_and_not_kept",
        ),
    ),
    "E1": Promise(
        "Without a network, or with a hub that refuses, what is installed works and the rest "
        "says so at once.",
        (
            f"{NETWORK}::test_a_picture_is_painted_without_any_network",
            "::test_the_page_opens_and_paints_without_any_network",
            "::test_what_needs_the_network_says_so_at_once_without_one",
            "::test_a_hub_that_refuses_is_one_sentence",
            f"{PUBLISHING}::test_a_downloaded_map_needs_no_hub_any_more",
            "::test_a_refused_upload_is_one_sentence",
            "::test_a_hub_that_cannot_take_it_now_says_so",
            "core/models/test_embedded.py::"
            "test_an_interrupted_download_continues_with_the_parts_that_are_missing",
        ),
    ),
    "E2": Promise(
        "A start that cannot succeed, a console without our characters, Python without asserts: "
        "one sentence or no difference.",
        (
            "app/test_launch.py::test_a_start_that_cannot_be_is_one_sentence",
            "::test_a_port_that_is_taken_is_one_sentence_and_touches_no_data",
            f"{CLI}::test_a_console_that_lacks_a_character_shows_its_number",
            "::test_an_argument_that_is_no_text_is_one_sentence",
            "::test_a_drive_letter_is_no_folder",
            f"{PROMPTS}::test_nothing_is_checked_by_an_assert_that_python_optimises_away",
            "packaging/test_without_fcntl.py::"
            "test_the_page_and_the_command_line_need_no_module_of_posix",
        ),
    ),
    "E3": Promise(
        "After thousands of calls and visits the server needs as much memory as before.",
        (
            "app/test_sessions.py::test_memory_comes_back",
            "::test_requests_without_a_session_leave_none_behind",
        ),
    ),
    "E4": Promise(
        "Where one of several processes that learn together dies, the others end with one "
        "sentence; the best maps are saved, and the same command continues from its checkpoint.",
        (
            "core/learning/test_processes.py::"
            "test_a_process_that_dies_ends_the_other_and_its_checkpoint_is_whole",
            "::test_by_torchrun_the_command_goes_on_after_a_process_died",
            "app/jobs/test_peers.py::"
            "test_a_shared_job_is_stopped_and_goes_on_also_after_a_process_was_killed",
        ),
    ),
    "E5": Promise(
        "What a killed worker was computing of a table is computed by another one, and nothing is "
        "computed twice.",
        (
            "core/tables/test_cluster.py::"
            "test_a_killed_worker_s_cell_is_done_by_another_and_no_other_twice",
        ),
    ),
}


def shown_by(promise):
    """The tests of a promise as pytest names them."""
    found, file = [], ""
    for name in promise.tests:
        here, _, test = name.partition("::")
        file = here or file
        found.append(f"tests/{file}::{test}")
    return found


def page():
    """The page with all promises, as Markdown."""
    lines = [
        "# What survives which fault",
        "",
        "Each promise stands with the tests that show it. Run them with",
        "`python -m tests.promises U1`, or several at once; slow ones are included. This page is",
        "written by `python -m tests.promises` and checked by `tests/test_promises.py`.",
    ]
    for letter, area in AREAS.items():
        lines += ["", f"## {area}", "", "| | promise | shown by |", "|---|---|---|"]
        for name, promise in PROMISES.items():
            if name.startswith(letter):
                shown = "<br>".join(map(_link, shown_by(promise)))
                lines.append(
                    f"| {name} | {promise.text} | {shown or f'**Not shown.** {promise.lacks}'} |"
                )
    return "\n".join(lines) + "\n"


def _link(test):
    file, name = test.split("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../{file})"


def run(promises, root=ROOT):
    """Run the tests of promises by name; return the status, which no skipped promise makes 0."""
    chosen = {name: shown_by(promise) for name, promise in promises.items()}
    tests = dict.fromkeys(test for each in chosen.values() for test in each)
    with TemporaryDirectory() as scratch:
        report = Path(scratch, "report.xml")
        command = [sys.executable, "-m", "pytest", "-m", "", f"--junitxml={report}", *tests]
        status = subprocess.run(command, cwd=root, check=False).returncode if tests else 0
        cases = ElementTree.parse(report).iter("testcase") if report.exists() else ()
        ran = {_name(case) for case in cases if case.find("skipped") is None}
    skipped = [name for name, each in chosen.items() if not ran & {*each}]
    for name in skipped:
        sys.stderr.write(f"{name}: not shown, all of its tests were skipped or are missing\n")
    return status or int(bool(skipped))


def _name(case):
    """The test of a case of a report as pytest names it, without its parameters."""
    return f"{case.get('classname').replace('.', '/')}.py::{case.get('name').partition('[')[0]}"


if __name__ == "__main__":
    if not sys.argv[1:]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        raise SystemExit(run({name: PROMISES[name] for name in sys.argv[1:]}))
