/**
 * Root file systems that machines start from, and the kernels and initramfs that boot them. A call whose signal aborts
 * rejects with its reason at once.
 */
export interface Images {
  /**
   * The image that a tenant means by a name: its own, else the shared one. Raises `not_found` with a hint that says what
   * there is.
   */
  resolve(tenant: string, name: string, signal: AbortSignal): Promise<Image>;
  /** What a tenant can name, by name. */
  list(tenant: string): Promise<readonly Image[]>;
  /** The image of this content, whosever it is; null when no name means it any more. */
  find(digest: string, signal: AbortSignal): Promise<Image | null>;
  /**
   * What guests on this image are booted with: the image's own kernel if it was imported with one, else this host's.
   * `unavailable` before set-up made that.
   */
  bootKit(imageDigest: string, signal: AbortSignal): Promise<BootKit>;
  /** The same from memory, at once; null when that takes a look at the disk. */
  knownBootKit(imageDigest: string): BootKit | null;
}

/**
 * Images that can be added and removed; it does not know who uses them. An import has an id of its own, under which its
 * parts are found again: each may be repeated, also by another daemon after a crash, and `discard` undoes those before
 * `publish`.
 */
export interface ImageLibrary extends Images {
  /** Raises `conflict` when the tenant can see an image of that name already, `invalid` for what is no name. */
  requireFree(tenant: string | null, name: string): Promise<void>;
  /**
   * Keeps an upload until it is whole. Raises `invalid` for a packing that is not read, `exhausted` when there is no
   * space, and what the sender raises. Called again after it has ended, it reads nothing.
   */
  receive(id: string, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<void>;
  /** Whether `receive` has ended well. */
  hasReceived(id: string): Promise<boolean>;
  /**
   * Makes an image of a tree of files; nobody sees it yet. Raises `invalid` for a source that is not a root file system,
   * `unsupported` for a kernel that cannot boot guests here, `exhausted` when there is no space; the signal's reason when
   * it aborts.
   */
  build(id: string, request: ImageImport, signal: AbortSignal): Promise<void>;
  /** What `build` has made, as `publish` shows it; null when it has made nothing, or `discard` was called. */
  made(id: string, request: ImageImport): Promise<Image | null>;
  /** The image becomes the tenant's: whole, or not at all. Raises `conflict` as `requireFree` does. */
  publish(id: string, request: ImageImport): Promise<Image>;
  /** Removes what the import holds. What was published stays. */
  discard(id: string): Promise<void>;
  /** How many of a tenant's images, or of the shared ones (null), were imported; hidden by another's name or not. */
  countImported(tenant: string | null): Promise<number>;
  /** Removes the image and its content. Does nothing when it is gone, or its name means another image now. */
  remove(image: Image): Promise<void>;
  /**
   * Removes root file systems and boot kits that neither a name nor a machine needs, and answers what they were. `used`
   * are digests of images that machines use or are about to.
   */
  collect(used: ReadonlySet<string>): Promise<readonly Garbage[]>;
}

export interface Garbage {
  readonly kind: 'blob' | 'boot_kit';
  readonly digest: string;
  readonly bytes: number;
}

/** Whose kernel boots the guests: the one set-up made for this host, or the one inside the image. */
export type KernelChoice = 'host' | 'image';

export interface Image {
  readonly name: string;
  /** `sha256:` + 64 hexadecimal digits, of the root file system; the base never changes under a digest. */
  readonly digest: string;
  /** Size of the root file system; a machine's disk cannot be smaller. */
  readonly rootMib: number;
  /** Below this the image cannot boot. */
  readonly memoryMibMin: number;
  readonly createdAt: string;
  /** Whose it is; null: everyone's. */
  readonly tenant: string | null;
  /** Made by set-up, which would make it again. */
  readonly isBuiltIn: boolean;
  readonly kernel: KernelChoice;
  /** What `uname -r` says; null while that is the host's kernel, which set-up may replace. */
  readonly kernelRelease: string | null;
}

/** What an image is made of. Paths are absolute and on this host. */
export type ImageSource =
  | { readonly kind: 'directory'; readonly path: string }
  | { readonly kind: 'tarball'; readonly path: string }
  /** What `receive` was given under the same id. */
  | { readonly kind: 'upload' };

export interface ImageImport {
  /** Null: for everyone. */
  readonly tenant: string | null;
  readonly name: string;
  readonly kernel: KernelChoice;
  readonly memoryMibMin: number;
  /** A tar archive in all but the first: plain, or packed with gzip, zstd, xz or bzip2. */
  readonly source: ImageSource;
}

export interface BootKit {
  readonly kernelPath: string;
  readonly initrdPath: string;
  readonly kernelRelease: string;
  /** Extra kernel arguments the kit needs; empty for most. */
  readonly kernelArgs: string;
}
