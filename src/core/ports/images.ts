/**
 * The root file systems that machines start from, and the kernels and initramfs that boot them. A call whose
 * signal aborts rejects at once with its reason.
 */
export interface Images {
  /** The image of this name for a tenant: its own, else the shared one; null when there is none. */
  named(tenant: string, name: string, signal: AbortSignal): Promise<Image | null>;
  /** All images that a tenant can name, ordered by name. */
  list(tenant: string): Promise<readonly Image[]>;
  /** The image with this content, of any tenant; null when no name refers to it any more. */
  find(digest: string, signal: AbortSignal): Promise<Image | null>;
  /**
   * The kernel and initramfs for guests on this image: the image's own kernel if it was imported with one,
   * else this host's. Raises `unavailable` before set-up has made that.
   */
  bootKit(imageDigest: string, signal: AbortSignal): Promise<BootKit>;
  /** The same from memory, at once; null when the disk has to be read. */
  knownBootKit(imageDigest: string): BootKit | null;
}

/**
 * Adds and removes images, without knowing who uses them. Each import has an id that identifies its files.
 * Its parts are idempotent, even across daemons after a crash; `discard` undoes those before `publish`.
 */
export interface ImageLibrary extends Images {
  /**
   * Raises `conflict` when the tenant can already see an image of that name, `invalid` for an invalid name.
   */
  requireFree(tenant: string | null, name: string): Promise<void>;
  /**
   * Stores an upload until it is complete. Raises `invalid` for an unknown compression, `exhausted` when
   * there is no space, and the sender's errors. Called again after success, it reads nothing.
   */
  receive(id: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** Whether `receive` has succeeded. */
  hasReceived(id: string): Promise<boolean>;
  /**
   * Builds an image from a file tree; it is not visible yet. Raises `invalid` when the source is not a root
   * file system, `unsupported` for a kernel that cannot boot guests here, `exhausted` when there is no space;
   * and the signal's reason.
   */
  build(id: string, request: ImageImport, signal: AbortSignal): Promise<void>;
  /** The built image, as `publish` will show it; null before `build` and after `discard`. */
  made(id: string, request: ImageImport): Promise<Image | null>;
  /** Makes the image visible to the tenant, atomically. Raises `conflict` like `requireFree`. */
  publish(id: string, request: ImageImport): Promise<Image>;
  /** Removes the import's files. A published image stays. */
  discard(id: string): Promise<void>;
  /**
   * Number of imported images of a tenant, or of shared ones (null), including those hidden by another of the
   * same name.
   */
  countImported(tenant: string | null): Promise<number>;
  /**
   * Removes the image and its content. Does nothing when it is gone or its name now refers to another image.
   */
  remove(image: Image): Promise<void>;
  /**
   * Removes root file systems and boot kits that neither a name nor a machine needs, and returns what was
   * removed. `used`: digests of images that machines use or are about to use.
   */
  collect(used: ReadonlySet<string>): Promise<readonly Garbage[]>;
}

export interface Garbage {
  readonly kind: 'blob' | 'boot_kit';
  readonly digest: string;
  readonly bytes: number;
}

/** The kernel that boots the guests: set-up's kernel of this host, or the one inside the image. */
export type KernelChoice = 'host' | 'image';

export interface Image {
  readonly name: string;
  /** `sha256:` + 64 hexadecimal digits of the root file system; the base never changes under a digest. */
  readonly digest: string;
  /** Size of the root file system; a machine's disk must be at least as large. */
  readonly rootMib: number;
  /** Minimum memory to boot the image. */
  readonly memoryMibMin: number;
  readonly createdAt: string;
  /** The owner; null: shared. */
  readonly tenant: string | null;
  /** Made by set-up, which would make it again. */
  readonly isBuiltIn: boolean;
  readonly kernel: KernelChoice;
  /** The output of `uname -r`; null for the host's kernel, which set-up may replace. */
  readonly kernelRelease: string | null;
}

/** The source of an image. Paths are absolute and on this host. */
export type ImageSource =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'tarball'; readonly path: string }
  /** The bytes given to `receive` under the same id. */
  | { readonly kind: 'upload' };

export interface ImageImport {
  /** Null: shared. */
  readonly tenant: string | null;
  readonly name: string;
  readonly kernel: KernelChoice;
  readonly memoryMibMin: number;
  /** Except for a directory, a tar archive: plain, or compressed with gzip, zstd, xz or bzip2. */
  readonly source: ImageSource;
}

export interface BootKit {
  readonly kernelPath: string;
  readonly initrdPath: string;
  readonly kernelRelease: string;
  /** Extra kernel arguments for the kit; usually empty. */
  readonly kernelArgs: string;
  /**
   * Whether the kernel finds its devices in ACPI tables only, as distributions' kernels do. Otherwise it finds them on
   * its command line, and boots faster without the tables.
   */
  readonly needsAcpi: boolean;
}
