/**
 * Statements that end what another session of ours does, or that session. They are made as the role that has logged in: where
 * that takes another role at once (`ALTER ROLE ... SET role`), the other may not signal sessions of the first.
 */

/** SQL: the call, made as the role that has logged in, and no other of the statement. @param call - of a function */
function asLogin(call: string): string {
  return `CASE WHEN set_config('role', 'none', true) IS NOT NULL THEN ${call} END`;
}

/** Cancels the statement of the backend $1. */
export const CANCEL_BACKEND = `SELECT ${asLogin('pg_cancel_backend($1)')}`;

/** Ends the backend $1, if it has the name $2, as `ended`. */
export const TERMINATE_BACKEND = `SELECT ${asLogin('pg_terminate_backend(pid)')} AS ended FROM pg_stat_activity WHERE pid = $1 AND application_name = $2`;
