/** The port of the saved memory of suspended machines. */

export interface SavedMemory {
  /** The incarnation that was saved. */
  readonly incarnation: string;
  /** The operation that saved it. What an earlier one has left of the same incarnation is older than the disk. */
  readonly operationId: string;
  /** RFC 3339, UTC, with `Z`. */
  readonly savedAt: string;
  /** The machine whose guest it is. Absent: the machine that has it. */
  readonly machineId?: string | undefined;
}

/** What to do about saved memory that cannot be used. */
export const giveUpHint =
  'Stop the machine with force to give the saved memory up; it then boots from its disk.';

/**
 * The saved memory of each machine, beside its disk and removed with it. A machine has one at most. It fits the disk as it
 * was when it was saved: once the guest runs again, the memory must never be restored. Calls for one machine are carried
 * out one after another. All raise the signal's reason when it aborts; what has begun is still completed before the next.
 */
export interface SavedMemories {
  /** An empty directory for an engine to save to. Removes what an earlier attempt has left. */
  begin(machineId: string, signal: AbortSignal): Promise<string>;
  /** The same, and fills it with the files of another saved memory, which are shared and so must never change. */
  beginFrom(machineId: string, directory: string, signal: AbortSignal): Promise<void>;
  /** Fills an empty directory with the engine's files of the machine's saved memory, which are then shared. */
  shareWith(machineId: string, directory: string, signal: AbortSignal): Promise<void>;
  /** Makes what was written since `begin` the machine's saved memory. Durable when it resolves. */
  publish(machineId: string, saved: SavedMemory, signal: AbortSignal): Promise<void>;
  /** Null when the machine has none. */
  find(machineId: string, signal: AbortSignal): Promise<SavedMemory | null>;
  /** The directory that `publish` has made; does not check whether it exists. */
  locate(machineId: string): string;
  /** From now on the machine has none. Durable when it resolves; nothing to discard is success. */
  discard(machineId: string, signal: AbortSignal): Promise<void>;
}
