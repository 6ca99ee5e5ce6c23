/**
 * Fakes of core's ports for tests of core; each can be told to fail. The fake engine is in `engines/fake`.
 */
import { EventEmitter, once } from 'node:events';
import { AppError } from '../errors.ts';
import type { Machine } from '../machines/machine.ts';
import type { DiskRequest, Disks } from '../ports/disks.ts';
import type { ConsolePiece } from '../ports/engine.ts';
import type {
  ExecEvent,
  ExecSession,
  GuestAdoption,
  GuestAnnouncement,
  GuestHello,
  GuestIdentity,
  GuestLeaseReport,
  GuestLink,
  GuestLinkState,
  GuestTarget,
} from '../ports/guest.ts';
import type { GuestProvisioning, ProvisioningOutcome } from '../ports/guest-provisioning.ts';
import type { Garbage, Image, ImageImport, ImageLibrary } from '../ports/images.ts';
import type { KeptConsoles } from '../ports/kept-consoles.ts';
import type { GuestNetwork } from '../ports/network.ts';
import type { FoundRecord, MachineRecords } from '../ports/records.ts';
import type { SavedMemories, SavedMemory } from '../ports/saved-memory.ts';
import type { SnapshotContent, SnapshotFiles, SnapshotPlaces } from '../ports/snapshots.ts';
import type { UserData } from '../user-data/user-data.ts';
import { FakeGuestCommands } from './fake-commands.ts';
import { FakeGuestConnections } from './fake-connections.ts';
import { FakeGuestFiles } from './fake-files.ts';
import { FakeLogged } from './fake-logged.ts';

/** A guest that is ready at once and runs nothing; `announce` scripts its announcement. */
export class FakeGuest implements GuestLink, GuestProvisioning {
  readonly calls: string[] = [];
  readonly released = new Set<string>();
  readonly files = new FakeGuestFiles();
  readonly connections = new FakeGuestConnections();
  readonly commands = new FakeGuestCommands((command) => command.play(this.events));
  readonly logged = new FakeLogged();
  /** Incarnations marked as paused. */
  readonly quiet = new Set<string>();
  readonly #announcements = new Map<string, GuestAnnouncement>();
  /** Called by waitReady; reject to fail it, never settle to hang. */
  onReady: (signal: AbortSignal) => Promise<void> = async () => undefined;
  /** Called by shutdown after the guest has acknowledged. */
  onShutdown: (target: GuestTarget) => void = () => undefined;
  /** What provision answers; reject to fail it, never settle to hang. */
  onProvision: (userData: UserData, signal: AbortSignal) => Promise<ProvisioningOutcome> = async () => ({
    outcome: 'succeeded',
  });
  /** The machine's lines of root's authorized_keys. */
  keys: readonly string[] = [];
  /** Rejects to fail the call. */
  onSshKeys: (keys: readonly string[]) => Promise<void> = async () => undefined;
  /** False: its agent is too old. */
  areKeysPlaced = true;
  /** What commands do. */
  events: readonly ExecEvent[] = [{ type: 'outcome', outcome: { outcome: 'exited', exitCode: 0 } }];

  async waitReady(target: GuestTarget, signal: AbortSignal): Promise<GuestHello> {
    this.calls.push(`waitReady ${target.incarnation}`);
    await this.onReady(signal);
    return {
      agentVersion: 'fake',
      protocolVersion: 2,
      features: ['rekey', 'adopt'],
      kernelRelease: 'fake',
      incarnation: null,
    };
  }

  /** By incarnation, who the guest is; `mac` is null unless it was adopted with one. */
  readonly identities = new Map<string, GuestAdoption>();

  async identify(target: GuestTarget, identity: GuestIdentity): Promise<void> {
    this.calls.push(`identify ${target.incarnation}`);
    this.identities.set(target.incarnation, { ...identity, mac: null });
  }

  /** What adopt answers; reject to fail it. */
  onAdopt: (adoption: GuestAdoption) => Promise<readonly string[]> = async () => [];

  async adopt(target: GuestTarget, adoption: GuestAdoption): Promise<readonly string[]> {
    this.calls.push(`adopt ${target.incarnation}`);
    const warnings = await this.onAdopt(adoption);
    this.identities.set(target.incarnation, adoption);
    // Keys of the machine that it was a copy of are not the fork's.
    this.keys = [];
    return warnings;
  }

  async resync(target: GuestTarget): Promise<void> {
    this.calls.push(`resync ${target.incarnation}`);
  }

  /** What configureNetwork answers. */
  networkNote: string | null = null;

  async configureNetwork(target: GuestTarget, network: GuestNetwork): Promise<string | null> {
    const [first] = network.addresses;
    this.calls.push(`network ${target.incarnation} ${first?.address}`);
    return this.networkNote;
  }

  /** What dhcpLease answers, by address; a change of it is told to those who wait. */
  #lease: GuestLeaseReport = { change: 1, lease: null, problem: null };
  readonly #leaseChanges = new EventEmitter();

  set lease(lease: GuestLeaseReport['lease']) {
    this.#lease = { change: this.#lease.change + 1, lease, problem: null };
    this.#leaseChanges.emit('change');
  }

  async dhcpLease(target: GuestTarget, known: number, _: number, signal: AbortSignal) {
    this.calls.push(`lease ${target.incarnation} ${known}`);
    while (this.#lease.change === known) await once(this.#leaseChanges, 'change', { signal });
    return this.#lease;
  }

  async rekey(target: GuestTarget, previous: string): Promise<void> {
    this.calls.push(`rekey ${previous} ${target.incarnation}`);
    const copied = this.identities.get(previous);
    if (copied !== undefined) this.identities.set(target.incarnation, copied);
  }

  async provision(target: GuestTarget, userData: UserData, signal: AbortSignal) {
    this.calls.push(`provision ${target.incarnation}`);
    return await this.onProvision(userData, signal);
  }

  async setSshKeys(target: GuestTarget, keys: readonly string[]): Promise<boolean> {
    this.calls.push(`setSshKeys ${target.incarnation}`);
    await this.onSshKeys(keys);
    if (this.areKeysPlaced) this.keys = keys;
    return this.areKeysPlaced;
  }

  async exec(): Promise<ExecSession> {
    const { events } = this;
    return {
      kill: () => undefined,
      async *[Symbol.asyncIterator]() {
        yield* events;
      },
    };
  }

  async shutdown(target: GuestTarget): Promise<void> {
    this.calls.push(`shutdown ${target.incarnation}`);
    this.onShutdown(target);
  }

  announce(incarnation: string, announcement: GuestAnnouncement): void {
    this.#announcements.set(incarnation, announcement);
  }

  /** What `linkState` says. */
  link: GuestLinkState | null = null;

  linkState(): GuestLinkState | null {
    return this.link;
  }

  announcement(incarnation: string): GuestAnnouncement | null {
    return this.#announcements.get(incarnation) ?? null;
  }

  setQuiet(incarnation: string, isQuiet: boolean): void {
    if (isQuiet) this.quiet.add(incarnation);
    else this.quiet.delete(incarnation);
  }

  async release(incarnation: string): Promise<void> {
    this.released.add(incarnation);
  }

  async close(): Promise<void> {}
}

/** Disks that are only names in a set. */
export class FakeDisks implements Disks {
  readonly made = new Set<string>();
  /** Thrown by the next `prepare`. */
  nextFailure: Error | null = null;

  async prepare(
    { machineId, content = null }: Pick<DiskRequest, 'machineId' | 'content'>,
    signal?: AbortSignal,
  ) {
    signal?.throwIfAborted();
    if (this.nextFailure) {
      const failure = this.nextFailure;
      this.nextFailure = null;
      throw failure;
    }
    this.made.add(machineId);
    if (content !== null) this.contents.set(machineId, content);
    return this.locate(machineId);
  }

  /** By path: the disk of which machine is there, for files that `makeEmpty` and `copyOut` have made. */
  readonly copies = new Map<string, string>();
  /** Machine id → the path of which its disk is a copy. */
  readonly contents = new Map<string, string>();

  async makeEmpty({ machineId }: { readonly machineId: string }, path: string): Promise<void> {
    this.copies.set(path, machineId);
  }

  async copyOut(machineId: string, path: string): Promise<void> {
    if (!this.made.has(machineId)) throw new Error(`machine ${machineId} has no disk`);
    this.copies.set(path, machineId);
  }

  async replace({ machineId, content }: DiskRequest & { readonly content: string }): Promise<void> {
    if (!this.made.has(machineId)) throw new Error(`machine ${machineId} has no disk`);
    this.contents.set(machineId, content);
  }

  /** Machine id → the size to which it was last grown. */
  readonly grown = new Map<string, number>();

  async grow({ machineId, diskMib }: DiskRequest): Promise<void> {
    this.grown.set(machineId, diskMib);
  }

  locate(machineId: string) {
    return { path: `/fake/${machineId}.qcow2`, format: 'qcow2' as const, bases: [] };
  }

  /** The result of `freeMib`. */
  free = 100_000;

  async freeMib(): Promise<number> {
    return this.free;
  }

  async remove(machineId: string): Promise<void> {
    this.made.delete(machineId);
  }

  async list(): Promise<readonly string[]> {
    return [...this.made];
  }

  readonly quarantined = new Set<string>();

  async quarantine(machineId: string): Promise<void> {
    if (this.made.delete(machineId)) this.quarantined.add(machineId);
  }

  /** Age of all quarantined disks. */
  quarantineAgeMs = 0;

  async ageQuarantine(byMs: number, ageMsMax: number): Promise<readonly string[]> {
    this.quarantineAgeMs += byMs;
    if (this.quarantineAgeMs < ageMsMax) return [];
    const names = [...this.quarantined];
    this.quarantined.clear();
    return names;
  }
}

/** Saved memory that is only in a map; the fake engine knows what is in its directories. */
export class FakeSavedMemories implements SavedMemories {
  /** By machine id. */
  readonly saved = new Map<string, SavedMemory>();
  readonly begun = new Set<string>();
  /** Thrown by the next `discard`. */
  nextFailure: Error | null = null;

  async begin(machineId: string): Promise<string> {
    this.begun.add(machineId);
    return this.locate(machineId);
  }

  /** Called for files that several directories share; the fake engine knows what is in them. */
  onShare: (from: string, to: string) => void = () => undefined;

  async beginFrom(machineId: string, directory: string): Promise<void> {
    this.onShare(directory, await this.begin(machineId));
  }

  async shareWith(machineId: string, directory: string): Promise<void> {
    if (!this.saved.has(machineId)) throw new Error(`machine ${machineId} has no saved memory`);
    this.onShare(this.locate(machineId), directory);
  }

  async publish(machineId: string, saved: SavedMemory): Promise<void> {
    if (!this.begun.delete(machineId)) throw new Error(`nothing was begun for ${machineId}`);
    this.saved.set(machineId, saved);
  }

  async find(machineId: string): Promise<SavedMemory | null> {
    return this.saved.get(machineId) ?? null;
  }

  locate(machineId: string): string {
    return `/fake/${machineId}/memory`;
  }

  async discard(machineId: string): Promise<void> {
    const failure = this.nextFailure;
    this.nextFailure = null;
    if (failure) throw failure;
    this.saved.delete(machineId);
    this.begun.delete(machineId);
  }
}

/** Snapshots that are only in a map. */
export class FakeSnapshotFiles implements SnapshotFiles {
  /** By id: whether it has been published. */
  readonly kept = new Map<string, { isPublished: boolean; hasMemory: boolean }>();
  /** Whether an engine has saved memory to this directory. */
  hasMemory: (directory: string) => boolean = () => false;
  /** Thrown by the next `verify`. */
  nextFailure: Error | null = null;

  async begin(id: string): Promise<SnapshotPlaces> {
    this.kept.set(id, { isPublished: false, hasMemory: false });
    return this.locate(id);
  }

  async publish(id: string): Promise<SnapshotContent> {
    const kept = this.kept.get(id);
    if (!kept) throw new Error(`nothing was begun for ${id}`);
    kept.isPublished = true;
    kept.hasMemory = this.hasMemory(this.locate(id).memory);
    return { sizeBytes: 1000, hasMemory: kept.hasMemory };
  }

  locate(id: string): SnapshotPlaces {
    return { disk: `/fake/snapshots/${id}/disk`, memory: `/fake/snapshots/${id}/memory` };
  }

  async verify(id: string): Promise<SnapshotContent> {
    const failure = this.nextFailure;
    this.nextFailure = null;
    if (failure) throw failure;
    const kept = this.kept.get(id);
    if (!kept?.isPublished) throw new AppError('not_found', `snapshot ${id} has no files here`);
    return { sizeBytes: 1000, hasMemory: kept.hasMemory };
  }

  async remove(id: string): Promise<void> {
    this.kept.delete(id);
  }

  async list(): Promise<readonly string[]> {
    return [...this.kept.keys()];
  }
}

/** Records beside disks: a test puts records into `found`; what core writes is in `written`. */
export class FakeRecords implements MachineRecords {
  /** Machine id → as last written. */
  readonly written = new Map<string, Machine>();

  readonly found = new Map<string, FoundRecord>();

  async begin(machine: Machine): Promise<void> {
    this.written.set(machine.id, machine);
  }

  async write(machine: Machine): Promise<boolean> {
    this.written.set(machine.id, machine);
    return true;
  }

  async read(machineId: string): Promise<FoundRecord | null> {
    return this.found.get(machineId) ?? null;
  }

  async list(): Promise<readonly FoundRecord[]> {
    return [...this.found.values()];
  }
}

/** Consoles of previous boots, in memory, as long as the machine has a disk. */
export class FakeKeptConsoles implements KeptConsoles {
  readonly #disks: FakeDisks;
  readonly #kept = new Map<string, ConsolePiece>();
  /** Thrown by the next `keep`. */
  nextFailure: Error | null = null;

  constructor(disks: FakeDisks) {
    this.#disks = disks;
  }

  async keep(machineId: string, piece: ConsolePiece): Promise<boolean> {
    const failure = this.nextFailure;
    this.nextFailure = null;
    if (failure !== null) throw failure;
    if (!this.#disks.made.has(machineId)) return false;
    this.#kept.set(machineId, piece);
    return true;
  }

  async read(machineId: string): Promise<ConsolePiece | null> {
    return this.#disks.made.has(machineId) ? (this.#kept.get(machineId) ?? null) : null;
  }
}

const images: readonly Image[] = ['busybox', 'debian-12'].map((name, index) => ({
  name,
  digest: `sha256:${String(index).repeat(64)}`,
  rootMib: 16,
  memoryMibMin: 64,
  createdAt: '2026-01-01T00:00:00.000Z',
  tenant: null,
  isBuiltIn: true,
  kernel: 'host' as const,
  kernelRelease: null,
}));

/**
 * Images that are only names: two built-in ones, and imported ones. Reads uploads to their end, but no files.
 */
export class FakeImages implements ImageLibrary {
  readonly #images: Image[] = [...images];
  #imported = images.length;
  /** The digests passed to the latest collection. */
  used: ReadonlySet<string> | null = null;
  /** Ids of imports with a stored upload. */
  readonly received = new Set<string>();
  /** Digests of built images that were not discarded, by import id. */
  readonly built = new Map<string, string>();
  /** Called during an import; never settle to hang. */
  onImport: (request: ImageImport, signal: AbortSignal) => Promise<void> = async () => undefined;

  async named(tenant: string, name: string): Promise<Image | null> {
    return (await this.list(tenant)).find((each) => each.name === name) ?? null;
  }

  async list(tenant: string): Promise<readonly Image[]> {
    const own = this.#images.filter((image) => image.tenant === tenant);
    const shared = this.#images.filter(
      (image) => image.tenant === null && !own.some(({ name }) => name === image.name),
    );
    return [...own, ...shared].sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  async find(digest: string): Promise<Image | null> {
    return this.#images.find((image) => image.digest === digest) ?? null;
  }

  async bootKit() {
    return this.knownBootKit();
  }

  knownBootKit() {
    return {
      kernelPath: '/fake/kernel',
      initrdPath: '/fake/initrd',
      kernelRelease: 'fake',
      kernelArgs: '',
      needsAcpi: true,
    };
  }

  async requireFree(tenant: string | null, name: string): Promise<void> {
    if (this.#images.some((each) => each.name === name && (each.tenant ?? tenant) === tenant)) {
      throw new AppError('conflict', `an image named '${name}' exists already`);
    }
  }

  async receive(id: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void> {
    if (this.received.has(id)) return;
    let bytes = 0;
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      bytes += chunk.length;
    }
    if (bytes === 0) throw new AppError('invalid', 'the archive is empty');
    this.received.add(id);
  }

  async hasReceived(id: string): Promise<boolean> {
    return this.received.has(id);
  }

  async build(id: string, request: ImageImport, signal: AbortSignal): Promise<void> {
    if (this.built.has(id)) return;
    await this.onImport(request, signal);
    this.#imported += 1;
    this.built.set(id, `sha256:${this.#imported.toString(16).padStart(64, '0')}`);
  }

  async made(id: string, { tenant, name, kernel, memoryMibMin }: ImageImport): Promise<Image | null> {
    const digest = this.built.get(id);
    if (digest === undefined) return null;
    return {
      ...{ name, digest, rootMib: 64, memoryMibMin, createdAt: '2026-01-02T00:00:00.000Z', tenant },
      ...{ isBuiltIn: false, kernel, kernelRelease: kernel === 'image' ? '6.1.0' : null },
    };
  }

  async publish(id: string, request: ImageImport): Promise<Image> {
    const image = await this.made(id, request);
    if (!image) throw new AppError('internal', `import ${id} has made no image`);
    const there = this.#images.find((each) => each.digest === image.digest);
    if (there) return there;
    await this.requireFree(request.tenant, request.name);
    this.#images.push(image);
    return image;
  }

  async collect(used: ReadonlySet<string>): Promise<readonly Garbage[]> {
    this.used = used;
    return [];
  }

  async discard(id: string): Promise<void> {
    this.received.delete(id);
    this.built.delete(id);
  }

  /** Adds an image directly. */
  put(image: Image): void {
    this.#images.push(image);
  }

  async countImported(tenant: string | null): Promise<number> {
    return this.#images.filter((image) => image.tenant === tenant && !image.isBuiltIn).length;
  }

  async remove(image: Image): Promise<void> {
    const index = this.#images.findIndex(({ digest }) => digest === image.digest);
    if (index >= 0) this.#images.splice(index, 1);
  }
}
