/** Root file systems that machines start from, and the kernel and initramfs that boot them. */
export interface Images {
  /** An image by name. Raises `not_found` with a hint that says how to get it. */
  resolve(name: string): Promise<Image>;
  list(): Promise<readonly Image[]>;
  /** The kernel and initramfs this host boots guests with; `unavailable` before set-up made them. */
  bootKit(): Promise<BootKit>;
}

export interface Image {
  readonly name: string;
  /** `sha256:` + 64 hexadecimal digits, of the root file system; the base never changes under a digest. */
  readonly digest: string;
  /** Size of the root file system; a machine's disk cannot be smaller. */
  readonly rootMib: number;
  /** Below this the image cannot boot. */
  readonly memoryMibMin: number;
  readonly createdAt: string;
}

export interface BootKit {
  readonly kernelPath: string;
  readonly initrdPath: string;
  readonly kernelRelease: string;
  /** Extra kernel arguments the kit needs; empty for most. */
  readonly kernelArgs: string;
}
