/**
 * What core asks of a virtual machine monitor. One driver for each engine kind; each passes
 * `engines/engine.contract.ts`. A driver never speaks to the guest: its handle carries the guest's address, and the
 * guest room dials it.
 */

/** Where the guest link of one incarnation is reached. */
export type GuestAddress =
  | { readonly transport: 'virtio-serial'; readonly path: string }
  /**
   * A unix socket. With a `connectPort` the VMM is first asked to connect that port of the guest, by Firecracker's
   * handshake: the line `CONNECT <port>`, answered by `OK <number>`.
   */
  | { readonly transport: 'unix'; readonly path: string; readonly connectPort: number | null }
  | { readonly transport: 'memory'; readonly key: string };

/**
 * How a launched incarnation is found again; plain JSON, stored by core. Core reads what is named here; `data` is the
 * driver's own and anything else may be in it.
 */
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
  readonly data: unknown;
}

export type DiskFormat = 'qcow2' | 'raw';

export interface EngineCapabilities {
  readonly vcpuCountMax: number;
  readonly memoryMibMin: number;
  readonly memoryMibMax: number;
  /** What it can open as a disk, the preferred format first. */
  readonly diskFormats: readonly DiskFormat[];
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

/** What an incarnation begins from. Paths are absolute and inside the state directory. */
export type LaunchSource =
  | {
      readonly kind: 'kernel';
      readonly kernelPath: string;
      readonly initrdPath: string;
      /** Added by the image after the driver's own arguments. */
      readonly kernelArgs: string;
    }
  /** The memory and devices that `EngineSnapshots.save` wrote to a directory. */
  | { readonly kind: 'restore'; readonly directory: string }
  /** A root file system whose processes run under this host's kernel. */
  | { readonly kind: 'container'; readonly rootPath: string; readonly argv: readonly string[] };

/** Everything a driver needs to start one incarnation. */
export interface LaunchSpec {
  readonly machineId: string;
  /** The host whose daemon starts it. The driver writes it down where the VMM cannot change it; see `list`. */
  readonly hostId: string;
  readonly incarnation: string;
  /** A number unique among this host's machines; the driver derives the VMM's uid from it. */
  readonly slot: number;
  readonly vcpuCount: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  readonly source: LaunchSource;
  /** The root disk first. */
  readonly disks: readonly DiskAttachment[];
  readonly nics: readonly NicAttachment[];
  readonly limits: LaunchLimits;
}

export interface DiskAttachment {
  readonly path: string;
  readonly format: DiskFormat;
  readonly readOnly: boolean;
  /** The files an overlay refers to, as whoever made it recorded them: the overlay itself is the guest's to write. */
  readonly bases: readonly string[];
}

/** A network interface of the guest, on a tap device of this host. */
export interface NicAttachment {
  readonly tap: string;
  readonly mac: string;
}

/** What the VMM with all it runs may take from this host, under control groups. Null: as the driver derives it from the size. */
export interface LaunchLimits {
  /** Processors' worth of time; 0.5 is half of one. */
  readonly cpuCount: number | null;
  /** The guest's memory and the VMM's own together. */
  readonly memoryMib: number | null;
  readonly io: IoLimits | null;
}

/** Per second, on the device that holds the root disk. Null: no limit. */
export interface IoLimits {
  readonly readBytes: number | null;
  readonly writeBytes: number | null;
  readonly readOperations: number | null;
  readonly writeOperations: number | null;
}

/** Limits that only follow from the machine's size. */
export const limitsOfSize: LaunchLimits = { cpuCount: null, memoryMib: null, io: null };

/** How and why an incarnation ended, as far as the engine saw it. */
export interface ExitFacts {
  /**
   * `powered_off`: the guest powered off · `reset`: the guest reset itself (a reboot, or a panic when nothing was
   * announced) · `stopped`: we asked the VMM to quit · `died`: the VMM ended by itself, was killed, or can never let its guest go on.
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

/**
 * Raises `engine`, `unsupported`, `timeout`, `exhausted`. A call whose signal aborts rejects with the signal's reason at
 * once; what it had begun may still be done afterwards, so whoever gave up looks again before acting.
 */
export interface EngineDriver {
  readonly kind: string;
  readonly capabilities: EngineCapabilities;
  /** Null when incarnations have no console. */
  readonly console: EngineConsole | null;
  /** Null when guests cannot be paused. */
  readonly pause: EnginePause | null;
  /** Null when guests' memory cannot be saved. */
  readonly snapshots: EngineSnapshots | null;
  /** What this host does not give machines, limits or isolation, one line each; empty until `probe` has found out. */
  readonly warnings: readonly string[];
  /** Tries the engine for real; the answer is kept for the life of the driver. Never rejects. */
  probe(signal?: AbortSignal): Promise<EngineProbe>;
  /**
   * Starts an incarnation in one call. Called again with the same incarnation it finds what the first call made. A source,
   * disk format or network interface that this engine does not take is refused as `unsupported` before anything is made.
   */
  launch(spec: LaunchSpec, signal: AbortSignal): Promise<EngineHandle>;
  /** The handle of an incarnation that runs here but whose handle was never saved; null when there is none. */
  find(incarnation: string, signal: AbortSignal): Promise<EngineHandle | null>;
  inspect(handle: EngineHandle, signal: AbortSignal): Promise<EngineStatus>;
  /**
   * Ends the VMM at once and waits for it to be gone; harmless when it is. A graceful end is the guest's business.
   * Afterwards only what the console needs is left, until `destroy`.
   */
  stop(handle: EngineHandle, signal: AbortSignal): Promise<void>;
  /** Removes everything the incarnation left on this host, its process too. Destroying nothing succeeds. */
  destroy(incarnation: string, signal: AbortSignal): Promise<void>;
  /**
   * Calls `listener` once, when the incarnation ends for whatever reason (also when it has already ended).
   * Returns a function that stops watching. Works for processes that are no children of ours.
   */
  onExit(handle: EngineHandle, listener: (facts: ExitFacts) => void): () => void;
  /** Incarnations that have anything on this host, whosever: a process, a directory, a socket. */
  list(signal: AbortSignal): Promise<readonly FoundIncarnation[]>;
  /** Those of them whose VMM lives. */
  listLiving(signal: AbortSignal): Promise<readonly string[]>;
  /** Stops watching everything; touches no VM. */
  close(): Promise<void>;
}

export interface FoundIncarnation {
  readonly incarnation: string;
  /** The host that its launch named; null when nothing that can be believed says it. */
  readonly hostId: string | null;
}

/** The serial consoles of an engine's incarnations. */
export interface EngineConsole {
  /** The last bytes, at most `bytesMax`; empty when there is none yet. Survives the VMM. */
  read(incarnation: string, bytesMax: number, signal: AbortSignal): Promise<Uint8Array>;
  /**
   * What `read` gives as one piece, which may be empty, then what the guest prints, without a gap. Ends when the
   * incarnation has ended and all was read, or the driver is closed; rejects with the signal's reason. A slow reader does
   * not block the guest or other readers; it loses the output that is no longer kept.
   */
  follow(incarnation: string, bytesMax: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** Both raise `engine` when the incarnation has ended. */
export interface EnginePause {
  /**
   * Stops the guest's processors; its memory, its devices and what is connected to them stay. `inspect` then says
   * `on_request`. Harmless when it stands still already, whatever made it so: that reason remains.
   */
  pause(handle: EngineHandle, signal: AbortSignal): Promise<void>;
  /**
   * Resumes the guest, whatever made it stand still; harmless when it runs. One that waited for space on the host's
   * disk waits again when there is still none.
   */
  resume(handle: EngineHandle, signal: AbortSignal): Promise<void>;
}

export interface EngineSnapshots {
  /** Writes a paused guest's memory and devices to an empty directory, for a launch from `restore`. */
  save(handle: EngineHandle, directory: string, signal: AbortSignal): Promise<void>;
}

/** The reason of a guest that stands still because `pause` was called. */
export const pausedOnRequest = 'on_request';
