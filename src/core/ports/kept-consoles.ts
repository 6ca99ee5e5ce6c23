/** The port of the consoles that are kept when a machine boots again. */
import type { ConsolePiece } from './engine.ts';

/**
 * The console of each machine's previous boot, beside its disk and removed with it. A machine has one at
 * most: a new one replaces it.
 */
export interface KeptConsoles {
  /** Durable when it resolves. False, and nothing kept, when the machine has no disk here. */
  keep(machineId: string, piece: ConsolePiece): Promise<boolean>;
  /** Null when the machine has none. Raises `internal` when the file is damaged. */
  read(machineId: string): Promise<ConsolePiece | null>;
}
