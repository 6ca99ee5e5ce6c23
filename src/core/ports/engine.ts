/**
 * What core asks of a virtual machine monitor. One driver for each engine kind; each passes
 * `engines/engine.contract.ts`. A driver never speaks to the guest: its handle carries the guest's address, and the
 * guest room dials it.
 */

/** Where the guest link of one incarnation is reached. */
export type GuestAddress =
  | { readonly transport: 'virtio-serial'; readonly path: string }
  | { readonly transport: 'memory'; readonly key: string };

/** How a launched incarnation is found again; plain JSON, stored by core, understood by its driver only. */
export interface EngineHandle {
  readonly engine: string;
  /** Version of the driver's `data`, so that a newer daemon can read an older handle. */
  readonly version: number;
  readonly incarnation: string;
  readonly guest: GuestAddress;
  /** The process on this host, when the engine has one. */
  readonly pid: number | null;
  /** The engine's own control socket, when it has one; shown to callers, used by the driver only. */
  readonly controlSocket: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EngineCapabilities {
  readonly canPause: boolean;
  readonly canSnapshot: boolean;
  readonly hasConsole: boolean;
  readonly vcpuCountMax: number;
  readonly memoryMibMin: number;
  readonly memoryMibMax: number;
}

/** What an engine can do on this host, found by trying it. */
export interface EngineProbe {
  readonly isAvailable: boolean;
  /** Such as `kvm` or `tcg`; null when not available. */
  readonly accelerator: string | null;
  readonly version: string | null;
  /** What is missing and how to get it; empty when all is there. */
  readonly missing: readonly string[];
  /** Things a person should know that stop nothing (no cgroup limits here, say). */
  readonly notes: readonly string[];
}

/** Everything a driver needs to boot one incarnation. Paths are absolute and inside the state directory. */
export interface LaunchSpec {
  readonly machineId: string;
  readonly incarnation: string;
  /** A number unique among this host's machines; the driver derives the VMM's uid from it. */
  readonly slot: number;
  readonly vcpuCount: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  readonly kernelPath: string;
  readonly initrdPath: string;
  /** Added by the image after the driver's own arguments. */
  readonly kernelArgs: string;
  /** The root disk first. */
  readonly disks: readonly DiskAttachment[];
}

export interface DiskAttachment {
  readonly path: string;
  readonly format: 'qcow2' | 'raw';
  readonly readOnly: boolean;
}

/** How and why an incarnation ended, as far as the engine saw it. */
export interface ExitFacts {
  /**
   * `powered_off`: the guest powered off · `reset`: the guest reset itself (a reboot, or a panic when nothing was
   * announced) · `stopped`: we asked the VMM to quit · `died`: the VMM ended by itself or was killed.
   */
  readonly kind: 'powered_off' | 'reset' | 'stopped' | 'died';
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** One line for a person; the VMM's last words when it left any. */
  readonly reason: string;
}

export type EngineStatus =
  | { readonly state: 'running' }
  /** Why its processors stand still: `on_request`, `disk_full`, `io_error`, or a word of the engine's own. */
  | { readonly state: 'paused'; readonly reason: string }
  | { readonly state: 'exited'; readonly facts: ExitFacts }
  | { readonly state: 'absent' };

/** Raises `engine`, `unsupported`, `timeout`, `exhausted`. */
export interface EngineDriver {
  readonly kind: string;
  readonly capabilities: EngineCapabilities;
  /** Tries the engine for real; the answer is kept for the life of the driver. Never rejects. */
  probe(signal?: AbortSignal): Promise<EngineProbe>;
  /** Builds and boots in one call. Called again with the same incarnation it finds what the first call made. */
  launch(spec: LaunchSpec, signal: AbortSignal): Promise<EngineHandle>;
  /** The handle of an incarnation that runs here but whose handle was never saved; null when there is none. */
  find(incarnation: string): Promise<EngineHandle | null>;
  inspect(handle: EngineHandle): Promise<EngineStatus>;
  /**
   * Ends the VMM at once and waits for it to be gone; harmless when it is. A graceful end is the guest's business.
   * Afterwards only what `readConsole` needs is left, until `destroy`.
   */
  stop(handle: EngineHandle, signal: AbortSignal): Promise<void>;
  /** Removes everything the incarnation left on this host, its process too. Destroying nothing succeeds. */
  destroy(incarnation: string): Promise<void>;
  /**
   * Calls `listener` once, when the incarnation ends for whatever reason (also when it has already ended).
   * Returns a function that stops watching. Works for processes that are no children of ours.
   */
  onExit(handle: EngineHandle, listener: (facts: ExitFacts) => void): () => void;
  /** Incarnations that have anything on this host: a process, a directory, a socket. */
  list(): Promise<readonly string[]>;
  /** Those of them whose VMM lives. */
  listLiving(): Promise<readonly string[]>;
  /** Stops watching everything; touches no VM. */
  close(): Promise<void>;
}

/** For engines whose capabilities say `hasConsole`. */
export interface Consoled {
  /** The last bytes of the serial console, at most `bytesMax`; empty when there is none yet. Survives the VMM. */
  readConsole(incarnation: string, bytesMax: number): Promise<Uint8Array>;
  /**
   * What `readConsole` gives as one piece, which may be empty, then what the guest prints, nothing left out between.
   * Ends when the incarnation has ended and all was read, or the driver is closed; rejects with the signal's reason.
   * Who reads more slowly than the guest prints holds nobody up, and misses what is no longer kept.
   */
  followConsole(incarnation: string, bytesMax: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** For engines whose capabilities say `canPause`. Both raise `engine` when the incarnation has ended. */
export interface Pausable {
  /**
   * Stops the guest's processors; its memory, its devices and what is connected to them stay. `inspect` then says
   * `on_request`. Harmless when it stands still already, whatever made it so: that reason remains.
   */
  pause(handle: EngineHandle, signal: AbortSignal): Promise<void>;
  /**
   * Lets the guest go on, whatever made it stand still; harmless when it runs. One that waited for space on the host's
   * disk waits again when there is still none.
   */
  resume(handle: EngineHandle, signal: AbortSignal): Promise<void>;
}

/** The reason of a guest that stands still because `pause` was called. */
export const pausedOnRequest = 'on_request';
