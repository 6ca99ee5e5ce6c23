/** The port of the files of snapshots. */

/** What a snapshot's files are, apart from what the engine knows of them. */
export interface SnapshotContent {
  readonly sizeBytes: number;
  /** Whether there is memory to restore. */
  readonly hasMemory: boolean;
}

/** What to do about a snapshot that cannot be used. */
export const damagedHint = 'Delete the snapshot, and use another one.';

/** Where the parts of a snapshot are. */
export interface SnapshotPlaces {
  readonly disk: string;
  /** A directory for what an engine saves of a guest. */
  readonly memory: string;
}

/**
 * The files of snapshots. A snapshot is complete from the moment at which it is published, and never changed. All calls raise the signal's reason when it aborts; what has
 * begun is still completed before the next call for the same snapshot.
 */
export interface SnapshotFiles {
  /** Places to fill: the memory is an empty directory, and of the disk there is nothing. Removes what an earlier attempt has left. */
  begin(id: string, signal: AbortSignal): Promise<SnapshotPlaces>;
  /**
   * Makes what is in these places the snapshot, with the digests of all files. Durable when it resolves. Called again, it finds
   * the snapshot published.
   */
  publish(id: string, signal: AbortSignal): Promise<SnapshotContent>;
  /** Of a published snapshot; does not check whether it exists. */
  locate(id: string): SnapshotPlaces;
  /**
   * Compares all files with their digests. Raises `conflict` when one was changed or is missing, and `not_found` for an unknown
   * snapshot. Files that were read before, and that nobody has written since, are not read again.
   */
  verify(id: string, signal: AbortSignal): Promise<SnapshotContent>;
  /** Nothing to remove is success. Durable when it resolves. */
  remove(id: string, signal: AbortSignal): Promise<void>;
  /** Ids of which there are any files, complete or not. */
  list(signal: AbortSignal): Promise<readonly string[]>;
}
