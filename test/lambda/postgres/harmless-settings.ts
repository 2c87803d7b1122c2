/**
 * The settings of a session that are not pinned, and why each may be left to the role, the database and the server.
 * A test compares this list and `session-settings.ts` with what the server has: a setting that is new there fails it
 * until somebody has thought about it. Settings of whole servers (context sighup, postmaster) are none of a session's.
 */

/** Reasons, and the settings that they excuse: of PostgreSQL 10 to 18. */
export const HARMLESS: Readonly<Record<string, string>> = {
  'plans only: results and their order are the same (tried with all of them switched)': `
    constraint_exclusion cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction debug_parallel_query
    default_statistics_target effective_cache_size effective_io_concurrency enable_async_append enable_bitmapscan
    enable_distinct_reordering enable_gathermerge enable_group_by_reordering enable_hashagg enable_hashjoin
    enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material enable_memoize enable_mergejoin
    enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning enable_partition_wise_join
    enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate enable_self_join_elimination
    enable_seqscan enable_sort enable_tidscan force_parallel_mode from_collapse_limit geqo geqo_effort geqo_generations
    geqo_pool_size geqo_seed geqo_selection_bias geqo_threshold join_collapse_limit max_parallel_workers
    min_parallel_index_scan_size min_parallel_table_scan_size parallel_leader_participation parallel_setup_cost
    parallel_tuple_cost plan_cache_mode random_page_cost recursive_worktable_factor seq_page_cost synchronize_seqscans`,
  'jit is off': `
    jit_above_cost jit_debugging_support jit_dump_bitcode jit_expressions jit_inline_above_cost jit_optimize_above_cost
    jit_profiling_support jit_tuple_deforming`,
  'speed or memory only': `
    backend_flush_after commit_delay commit_siblings hash_mem_multiplier io_combine_limit maintenance_io_concurrency
    maintenance_work_mem temp_buffers wal_compression wal_init_zero wal_recycle wal_skip_threshold work_mem
    logical_decoding_work_mem ignore_system_indexes debug_discard_caches`,
  'what the server itself logs or counts; our statements hold names and positions, no value and no password': `
    backtrace_functions compute_query_id debug_pretty_print debug_print_parse debug_print_plan debug_print_rewritten
    log_connections log_disconnections log_duration log_error_verbosity log_executor_stats log_lock_failures
    log_lock_waits log_min_duration_sample log_min_duration_statement log_min_error_statement log_min_messages
    log_parameter_max_length log_parameter_max_length_on_error log_parser_stats log_planner_stats
    log_replication_commands log_statement log_statement_sample_rate log_statement_stats log_temp_files
    log_transaction_sample_rate stats_fetch_consistency trace_locks trace_lwlocks trace_notify trace_recovery_messages
    trace_sort trace_userlocks track_activities track_cost_delay_timing track_counts track_functions track_io_timing
    track_wal_io_timing update_process_title`,
  'for what we never do: write tables, change roles, run VACUUM, make functions, cursors or parallel plans': `
    allow_in_place_tablespaces allow_system_table_mods check_function_bodies createrole_self_grant default_table_access_method
    default_tablespace default_toast_compression default_with_oids event_triggers extension_control_path file_copy_method
    gin_fuzzy_search_limit gin_pending_list_limit icu_validation_level lo_compat_privileges max_parallel_maintenance_workers
    md5_password_warnings password_encryption replacement_sort_tuples scram_iterations session_replication_role
    synchronous_commit temp_tablespaces vacuum_buffer_usage_limit vacuum_cleanup_index_scale_factor vacuum_cost_delay
    vacuum_cost_limit vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss vacuum_failsafe_age
    vacuum_freeze_min_age vacuum_freeze_table_age vacuum_max_eager_freeze_failure_rate vacuum_multixact_failsafe_age
    vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age vacuum_truncate wal_consistency_checking`,
  'how texts are read that no statement of ours holds (escapes, array texts, comparisons with NULL, times by zone names)': `
    array_nulls backslash_quote default_text_search_config escape_string_warning operator_precedence_warning
    timezone_abbreviations transform_null_equals xmloption`,
  'texts that nothing here goes by: errors are told by SQLSTATE, numbers and dates are formatted without a locale': `
    lc_messages lc_numeric lc_time xmlbinary`,
  'each transaction takes its own from the default_ setting, which is pinned': `
    transaction_deferrable transaction_isolation transaction_read_only`,
  'only for tables of users, and only catalogs are read': 'restrict_nonsystem_relation_kind row_security',
  'of the replication protocol, which is not spoken': 'wal_sender_timeout',
  'ours to set, and set': 'application_name',
  'not for the role to set; where it ends a statement, a smaller peek is tried (53400), else the error names it': `
    deadlock_timeout dynamic_library_path ignore_checksum_failure local_preload_libraries max_stack_depth
    session_preload_libraries temp_file_limit zero_damaged_pages`,
  'delays the log-in, which has a time-out of its own': 'post_auth_delay',
};
