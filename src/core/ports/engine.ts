/**
 * What core requires of a virtual machine monitor. Each engine kind has one driver, which passes
 * `engines/engine.contract.ts`. A driver never talks to the guest: its handle contains the guest's address,
 * and the guest room dials it.
 */
import type { NicAttachment } from './network.ts';

/** The address of an incarnation's guest link. */
export type GuestAddress =
  | { readonly transport: 'virtio-serial'; readonly path: string }
  /**
   * A unix socket. With a `connectPort`, the client first asks the VMM to connect to that guest port, by
   * Firecracker's handshake: it sends `CONNECT <port>` and receives `OK <number>`.
   */
  | { readonly transport: 'unix'; readonly path: string; readonly connectPort: number | null }
  | { readonly transport: 'memory'; readonly key: string };

/**
 * Identifies a launched incarnation; plain JSON, stored by core. Core reads the fields named here; `data`
 * belongs to the driver.
 */
export interface EngineHandle {
  readonly engine: string;
  /** Version of the driver's `data`, so that a newer daemon can read an older handle. */
  readonly version: number;
  readonly incarnation: string;
  readonly guest: GuestAddress;
  /** The process on this host, if the engine has one. */
  readonly pid: number | null;
  /** The engine's control socket, if it has one; shown to callers, used only by the driver. */
  readonly controlSocket: string | null;
  /** The whole command line of its kernel; null when it has none, or nobody knows. Absent in handles of earlier versions. */
  readonly kernelArgs?: string | null | undefined;
  /**
   * The incarnation whose saved memory it was launched from: until the guest is given another, it has that one's link
   * token. Null or absent: it was booted.
   */
  readonly restoredFrom?: string | null | undefined;
  readonly data: unknown;
}

export type DiskFormat = 'qcow2' | 'raw';

export interface EngineCapabilities {
  readonly vcpuCountMax: number;
  readonly memoryMibMin: number;
  readonly memoryMibMax: number;
  /** Disk formats that it can open, preferred format first. */
  readonly diskFormats: readonly DiskFormat[];
  /** Why machines cannot have these options here: what is missing on this host. Options it has are absent. */
  readonly missing: Readonly<Partial<Record<MachineOption, string>>>;
}

/** What a machine may ask for that not every host or engine has. */
export const machineOptions = [
  'gpu_passthrough',
  'virtual_gpu',
  'secure_boot',
  'virtual_tpm',
  'sev_memory_encryption',
  'tdx_memory_encryption',
] as const;
export type MachineOption = (typeof machineOptions)[number];

/** The capabilities of an engine on this host, found by trying them. */
export interface EngineProbe {
  readonly isAvailable: boolean;
  /** Such as `kvm` or `tcg`; null when not available. */
  readonly accelerator: string | null;
  readonly version: string | null;
  /** What is missing and how to get it; empty when nothing is. */
  readonly missing: readonly string[];
  /** Limitations that do not prevent machines from running, for example missing cgroup limits. */
  readonly notes: readonly string[];
}

/** What an incarnation starts from. Paths are absolute and inside the state directory. */
export type LaunchSource =
  | {
      readonly kind: 'kernel';
      readonly kernelPath: string;
      readonly initrdPath: string;
      /** Appended by the image to the driver's own arguments. */
      readonly kernelArgs: string;
      /** See `BootKit`. Absent: yes. */
      readonly needsAcpi?: boolean;
    }
  /**
   * The memory and devices that `EngineSnapshots.save` wrote to a directory. The guest is launched paused, and `resume`
   * lets it run. The hardware must be what it was. Raises `unsupported` when this engine or host would misread the
   * directory, and `conflict` when it is damaged; nothing of the guest has run then.
   */
  | { readonly kind: 'restore'; readonly directory: string }
  /** A root file system whose processes run under this host's kernel. */
  | { readonly kind: 'container'; readonly rootPath: string; readonly argv: readonly string[] };

/** Everything a driver needs to start one incarnation. */
export interface LaunchSpec {
  readonly machineId: string;
  /** The host whose daemon starts it. The driver records it where the VMM cannot change it; see `list`. */
  readonly hostId: string;
  readonly incarnation: string;
  /** A number unique among this host's machines; the driver derives the VMM's uid from it. */
  readonly slot: number;
  readonly vcpuCount: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  readonly source: LaunchSource;
  /** The root disk comes first. */
  readonly disks: readonly DiskAttachment[];
  readonly nics: readonly NicAttachment[];
  readonly limits: LaunchLimits;
}

export interface DiskAttachment {
  readonly path: string;
  readonly format: DiskFormat;
  readonly readOnly: boolean;
  /**
   * The files that an overlay refers to, as recorded by its maker: the overlay itself cannot be trusted,
   * because the guest can write to it.
   */
  readonly bases: readonly string[];
}

/** cgroup limits of the VMM and its children. Null: derived from the machine's size. */
export interface LaunchLimits {
  /** CPU time in processors; 0.5 is half of one. */
  readonly cpuCount: number | null;
  /** For the guest's memory and the VMM's own together. */
  readonly memoryMib: number | null;
  readonly io: IoLimits | null;
}

/** Per second, on the device that holds the root disk. Null: unlimited. */
export interface IoLimits {
  readonly readBytes: number | null;
  readonly writeBytes: number | null;
  readonly readOperations: number | null;
  readonly writeOperations: number | null;
}

/** Limits derived only from the machine's size. */
export const limitsOfSize: LaunchLimits = { cpuCount: null, memoryMib: null, io: null };

/** How and why an incarnation ended, as far as the engine knows. */
export interface ExitFacts {
  /**
   * `powered_off`: the guest powered off · `reset`: the guest reset itself (a reboot, or a panic when nothing
   * was announced) · `stopped`: we asked the VMM to quit · `died`: the VMM exited by itself, was killed, or
   * can never resume its guest.
   */
  readonly kind: 'powered_off' | 'reset' | 'stopped' | 'died';
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** One line for users, with the VMM's last output if there is any. */
  readonly reason: string;
}

export type EngineStatus =
  | { readonly state: 'running' }
  /** Why its vCPUs are paused: `on_request`, `disk_full`, `io_error`, or an engine-specific word. */
  | { readonly state: 'paused'; readonly reason: string }
  | { readonly state: 'exited'; readonly facts: ExitFacts }
  | { readonly state: 'absent' };

/**
 * A driver. Calls raise `engine`, `unsupported`, `timeout`, `exhausted`. When the signal aborts, a call
 * rejects at once with its reason; work that had begun may still complete, so check again before acting.
 */
export interface EngineDriver {
  readonly kind: string;
  readonly capabilities: EngineCapabilities;
  /** Null when the engine has no consoles. */
  readonly console: EngineConsole | null;
  /** Null when the engine cannot pause guests. */
  readonly pause: EnginePause | null;
  /** Null when the engine cannot save guests' memory. */
  readonly snapshots: EngineSnapshots | null;
  /** Null when the engine measures nothing. */
  readonly meter: EngineMeter | null;
  /**
   * Limits or isolation that this host cannot give machines, one per line; empty until `probe` has finished.
   */
  readonly warnings: readonly string[];
  /**
   * What it passes to a kernel before the image's own arguments; null until `probe` has found out, or without
   * kernels. `needsAcpi`: see `BootKit`.
   */
  kernelArgs(needsAcpi: boolean): string | null;
  /** Tries the engine by booting something; the result is cached for the driver's lifetime. Never rejects. */
  probe(signal?: AbortSignal): Promise<EngineProbe>;
  /**
   * Starts an incarnation. Idempotent: called again, returns the incarnation made by the first call. Refuses
   * an unsupported source, disk format or network interface as `unsupported` before it makes anything. The guest
   * runs nothing before `mayRun` resolves; when it rejects, so does the launch, with the same error, and leaves nothing.
   */
  launch(spec: LaunchSpec, signal: AbortSignal, mayRun?: Promise<void>): Promise<EngineHandle>;
  /** The handle of a running incarnation whose handle was never saved; null when there is none. */
  find(incarnation: string, signal: AbortSignal): Promise<EngineHandle | null>;
  inspect(handle: EngineHandle, signal: AbortSignal): Promise<EngineStatus>;
  /**
   * Ends the VMM at once and waits until it is gone. Idempotent. A graceful shutdown is up to the guest.
   * Afterwards only the console remains, until `destroy`.
   */
  stop(handle: EngineHandle, signal: AbortSignal): Promise<void>;
  /**
   * Removes everything that the incarnation left on this host, including its process. Succeeds if there is
   * nothing.
   */
  destroy(incarnation: string, signal: AbortSignal): Promise<void>;
  /**
   * Calls `listener` once when the incarnation ends for any reason, also if it has already ended. Returns a
   * function that stops watching. Works for processes that are not our children.
   */
  onExit(handle: EngineHandle, listener: (facts: ExitFacts) => void): () => void;
  /** Incarnations that have anything on this host, of any owner: a process, a directory, a socket. */
  list(signal: AbortSignal): Promise<readonly FoundIncarnation[]>;
  /** Incarnations with a running VMM. */
  listLiving(signal: AbortSignal): Promise<readonly string[]>;
  /** Stops watching everything; leaves all VMs alone. */
  close(): Promise<void>;
}

export interface FoundIncarnation {
  readonly incarnation: string;
  /** The host named at launch; null when no trusted record says it. */
  readonly hostId: string | null;
}

/** The serial consoles of an engine's incarnations. */
export interface EngineConsole {
  /** The last bytes, at most `bytesMax`; empty when there are none yet. Remains after the VMM's end. */
  read(incarnation: string, bytesMax: number, signal: AbortSignal): Promise<ConsolePiece>;
  /**
   * First the content of `read` as one piece, which may be empty, then new output without a gap. Ends when
   * the incarnation has ended and everything was read, or when the driver is closed; rejects with the
   * signal's reason. A slow reader does not block the guest or other readers; it loses the output that has
   * left the buffer.
   */
  follow(incarnation: string, bytesMax: number, signal: AbortSignal): AsyncIterable<ConsolePiece>;
}

/** Output of a console, and when it was seen. */
export interface ConsolePiece {
  readonly bytes: Uint8Array;
  /** In the order of the bytes, which they cover completely. */
  readonly seen: readonly Seen[];
}

/** The time at which the driver saw the bytes before `end` that no earlier entry covers. */
export interface Seen {
  /** An index into the bytes of the piece. */
  readonly end: number;
  /**
   * When the driver last looked and did not see them, in milliseconds since 1970; null when unknown. Normally
   * a second before `atMs` at most, and longer when no daemon ran.
   */
  readonly sinceMs: number | null;
  /** When the driver saw them, in milliseconds since 1970. */
  readonly atMs: number;
}

/** Both raise `engine` when the incarnation has ended. */
export interface EnginePause {
  /**
   * Pauses the guest's vCPUs; memory, devices and connections stay. `inspect` then reports `on_request`. Does
   * nothing if the guest is already paused for any reason; that reason stays.
   */
  pause(handle: EngineHandle, signal: AbortSignal): Promise<void>;
  /**
   * Resumes the guest, whatever the reason of its pause. Does nothing if it runs. A guest that waited for
   * disk space pauses again if there is still none.
   */
  resume(handle: EngineHandle, signal: AbortSignal): Promise<void>;
}

export interface EngineSnapshots {
  /**
   * Writes a paused guest's memory and devices to a directory, for a launch from `restore`; the guest stays paused, and
   * its writes to its disks are in their files. Durable when it resolves. Replaces what an earlier attempt has left.
   * Raises `exhausted` when the disk is full.
   */
  save(handle: EngineHandle, directory: string, signal: AbortSignal): Promise<void>;
  /**
   * Copies the root disk and, if wanted, the memory and devices of a guest, all of one moment. A running guest goes on, after a
   * pause of milliseconds; a paused one stays paused. Durable when it resolves; when it rejects, the guest is as it was
   * before. Replaces what an earlier attempt has left. Raises `exhausted` when the disk is full.
   */
  capture(handle: EngineHandle, request: CaptureRequest, signal: AbortSignal): Promise<Captured>;
  /** Ends a capture that a daemon has begun which died since; the guest goes on if it `isRunning` otherwise. */
  abandonCapture(handle: EngineHandle, isRunning: boolean, signal: AbortSignal): Promise<void>;
}

export interface CaptureRequest {
  /** Gets what `save` writes; null: the disk alone, as after a power failure. */
  readonly memoryDirectory: string | null;
  /** An empty disk of the size and on the base of the root disk; the copy replaces it. */
  readonly disk: string;
}

export interface Captured {
  /** For how long the guest stood still; 0 for one that was paused, or without memory. */
  readonly pausedMs: number;
}

export interface EngineMeter {
  /** What a living incarnation has used since its launch. Raises `engine` when it has ended. */
  measure(handle: EngineHandle, signal: AbortSignal): Promise<EngineUsage>;
}

/** Null: not measured. */
export interface EngineUsage {
  /** Time that the VMM's threads, its guest's processors among them, ran on the host's processors. */
  readonly processorTimeMs: number | null;
  /** Memory of the host that the VMM occupies: what its guest has touched, and its own. */
  readonly memoryBytes: number | null;
  /** What the guest read from and wrote to its disks. */
  readonly diskReadBytes: number | null;
  readonly diskWriteBytes: number | null;
  /** In requests of the guest, of any size. */
  readonly diskReads: number | null;
  readonly diskWrites: number | null;
  /** Null while the guest does not report it, for example because it is paused. */
  readonly guestMemory: GuestMemory | null;
}

/** What a guest's kernel says of its memory; it may lie. */
export interface GuestMemory {
  /** Less than the machine's memory: the kernel's own code and tables do not count. */
  readonly totalBytes: number | null;
  /** Not used for anything. */
  readonly freeBytes: number | null;
  /** What programs could get without swapping; caches count, as far as they can be dropped. */
  readonly availableBytes: number | null;
  readonly cacheBytes: number | null;
  /** Pages that had to be read from a disk since the guest's boot. */
  readonly majorFaults: number | null;
}

/** The reason of a guest paused by `pause`. */
export const pausedOnRequest = 'on_request';

/** The reason of a guest that was paused because the host's disk had no space for a write. */
export const diskFullReason = 'disk_full';
