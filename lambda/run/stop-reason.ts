/**
 * Why a run ended, or waits. Pure; what the reasons mean to users is in docs/operations.md.
 */

/**
 * Why a run ended. `interrupted`: it was asked to stop before it was done. `locked`: another run holds the slot, a success
 * that did nothing. `commit-pending`: the next transaction is in the WAL and not over, most often because its commit waits
 * for a synchronous standby. `waiting-for-standby`: a standby that is awaited has not confirmed what comes next.
 * `waiting-for-replay`: the server is a standby, and has not replayed what it has received. `handed-over`: it lingered, and
 * another run or action waited for the slot.
 */
export type StopReason =
  | 'caught-up'
  | 'deadline'
  | 'interrupted'
  | 'max-batches'
  | 'locked'
  | 'throttled'
  | 'commit-pending'
  | 'waiting-for-standby'
  | 'waiting-for-replay'
  | 'handed-over';
