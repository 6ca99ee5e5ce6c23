/**
 * A certificate from two files, for all names. They are looked at every minute and read again when they have changed, so
 * that what renews them (certbot, cert-manager, a copy by scp) need not tell the daemon.
 */
import { readFile, stat } from 'node:fs/promises';
import { AppError } from '../../core/errors.ts';
import type { Logger } from '../../lib/log.ts';
import { type Certificates, type Loaded, load, type NamelessListener } from './certificates.ts';

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

const lookMs = 60_000;

export class FileCertificates implements Certificates {
  readonly #files: CertificateFiles;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners: NamelessListener[] = [];
  #loaded: Loaded;
  #seen: string;

  private constructor(files: CertificateFiles, log: Logger, loaded: Loaded, seen: string) {
    this.#files = files;
    this.#log = log;
    this.#loaded = loaded;
    this.#seen = seen;
    this.#timer = setInterval(() => void this.refresh(), lookMs).unref();
  }

  /** Raises `invalid` when the files cannot be read or do not belong together. */
  static async open(files: CertificateFiles, log: Logger): Promise<FileCertificates> {
    const seen = await marksOf(files);
    return new FileCertificates(files, log, await read(files), seen);
  }

  contextOf() {
    return Promise.resolve(this.#loaded.context);
  }

  challengeAnswer(): null {
    return null;
  }

  attach(listener: NamelessListener): void {
    this.#listeners.push(listener);
    listener.setSecureContext(this.#loaded.options);
  }

  /** Reads the files again if they have changed. What cannot be used is logged, and the certificate before it stays. */
  async refresh(): Promise<void> {
    try {
      const marks = await marksOf(this.#files);
      if (marks === this.#seen) return;
      this.#loaded = await read(this.#files);
      this.#seen = marks;
      for (const listener of this.#listeners) listener.setSecureContext(this.#loaded.options);
      this.#log.info({ until: this.#loaded.certificate.validTo }, 'the proxy’s certificate was read again');
    } catch (error) {
      // Not marked as seen: it may be between the writes of the two files.
      this.#log.warn(
        { reason: (error as Error).message },
        'the proxy keeps its certificate: the new one cannot be used',
      );
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

async function read({ certFile, keyFile }: CertificateFiles): Promise<Loaded> {
  const [cert, key] = await Promise.all([certFile, keyFile].map(readOne));
  return load(cert ?? '', key ?? '', `the certificate ${certFile} with the key ${keyFile}`);
}

async function readOne(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw unreadable(path, error);
  }
}

/** Changes when one of the files does, also when its name leads to another file. */
async function marksOf({ certFile, keyFile }: CertificateFiles): Promise<string> {
  const marks = [certFile, keyFile].map(async (path) => {
    try {
      const { ino, mtimeMs, size } = await stat(path);
      return `${ino} ${mtimeMs} ${size}`;
    } catch (error) {
      throw unreadable(path, error);
    }
  });
  return (await Promise.all(marks)).join(' ');
}

function unreadable(path: string, cause: unknown): AppError {
  const { code } = cause as NodeJS.ErrnoException;
  return new AppError('invalid', `cannot read ${path}: ${code}`, {
    cause,
    hint: 'PROXY_TLS_CERT and PROXY_TLS_KEY name files that the daemon can read.',
  });
}
