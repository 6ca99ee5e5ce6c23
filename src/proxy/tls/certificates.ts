/** Where the proxy's TLS listener gets certificates from. */
import { X509Certificate } from 'node:crypto';
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls';
import { AppError } from '../../core/errors.ts';

export interface Certificates {
  /** For the name that a client asks for; null when there is none for it, which ends the handshake. May take as long as a handshake may. */
  contextOf(name: string): Promise<SecureContext | null>;
  /** The answer to a certificate authority’s request over plain HTTP; null when the request is none. */
  challengeAnswer(path: string): string | null;
  /** Gives a listener what clients get that ask for no name, as those do that connect to an address. */
  attach(listener: NamelessListener): void;
  close(): void;
}

/** Node's TLS server. */
export interface NamelessListener {
  setSecureContext(options: SecureContextOptions): void;
}

/** A certificate with its chain and its key, checked to belong together. */
export interface Loaded {
  readonly context: SecureContext;
  readonly certificate: X509Certificate;
  readonly options: SecureContextOptions;
}

export const tlsVersionMin = 'TLSv1.2';

/** Raises `invalid`, naming what is wrong; `what` names the certificate. */
export function load(certPem: string, keyPem: string, what: string): Loaded {
  try {
    const options = { cert: certPem, key: keyPem, minVersion: tlsVersionMin } as const;
    return { options, context: createSecureContext(options), certificate: new X509Certificate(certPem) };
  } catch (error) {
    const { message } = error as Error;
    throw new AppError('invalid', `${what} cannot be used: ${message}`, {
      cause: error,
      hint: 'Give a certificate in PEM with its chain, and its own key.',
    });
  }
}
