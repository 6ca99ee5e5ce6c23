/** Strings and numbers as SSH writes them (RFC 4251, section 5). Pure; used for public keys, signatures and certificates. */

/** Raised for data that ends early or holds more than it should; the caller turns it into words. */
export class SshFormatError extends Error {
  override readonly name = 'SshFormatError';
}

export class SshReader {
  readonly #data: Buffer;
  #offset = 0;

  constructor(data: Uint8Array) {
    this.#data = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  get isAtEnd(): boolean {
    return this.#offset === this.#data.length;
  }

  bytes(): Buffer {
    return this.#take(this.uint32());
  }

  text(): string {
    return this.bytes().toString('utf8');
  }

  uint32(): number {
    return this.#take(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.#take(8).readBigUInt64BE();
  }

  /** Raises unless everything was read. */
  end(): void {
    if (!this.isAtEnd) throw new SshFormatError('there is more data than expected');
  }

  #take(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.#data.length) throw new SshFormatError('the data ends early');
    const taken = this.#data.subarray(this.#offset, end);
    this.#offset = end;
    return taken;
  }
}

export function sshString(value: Uint8Array | string): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

export function sshUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function sshUint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}
