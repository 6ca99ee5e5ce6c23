/** Who asks. Every use case takes a tenant from here, never from a request's body. */
export interface Caller {
  readonly tenant: string;
  /** A short public name of the key, for logs. */
  readonly keyName: string;
}

/** Raises `unauthenticated` with words that are safe to show. */
export interface KeyVerifier {
  /** `key` is what stood after `Bearer `; null when there was no Authorization header. */
  verify(key: string | null): Promise<Caller>;
}
