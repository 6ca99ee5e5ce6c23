/**
 * Fetches certificates from a certificate authority by ACME (RFC 8555) with challenges over HTTP. The only place that knows
 * the library, which is loaded when the first certificate is fetched.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrorCode, writeFileAtomic } from '../../lib/files.ts';

export interface Fetched {
  /** With its chain. */
  readonly certPem: string;
  readonly keyPem: string;
}

/** The account is kept in `directory`. */
export interface AuthoritySettings {
  readonly directoryUrl: string;
  readonly email: string;
  readonly directory: string;
}

export class Authority {
  /** What the authority asks for on port 80 of the name: the answer, by token. */
  readonly challenges = new Map<string, string>();
  readonly #settings: AuthoritySettings;

  constructor(settings: AuthoritySettings) {
    this.#settings = settings;
  }

  /** Takes seconds; the authority connects to port 80 of the name. Raises the authority's own error. */
  async fetch(name: string): Promise<Fetched> {
    const { default: acme } = await import('acme-client');
    const { directoryUrl, email } = this.#settings;
    const accountKey = await this.#accountKey(() => acme.crypto.createPrivateEcdsaKey());
    const client = new acme.Client({ directoryUrl, accountKey });
    const [key, csr] = await acme.crypto.createCsr(
      { altNames: [name] },
      await acme.crypto.createPrivateEcdsaKey(),
    );
    const certPem = await client.auto({
      csr,
      email,
      termsOfServiceAgreed: true,
      challengePriority: ['http-01'],
      // This host may reach its public address by another way than the authority does, or not at all.
      skipChallengeVerification: true,
      challengeCreateFn: async (_, { token }, answer) => void this.challenges.set(token, answer),
      challengeRemoveFn: async (_, { token }) => void this.challenges.delete(token),
    });
    return { certPem, keyPem: key.toString() };
  }

  /** One account for all names, so that the authority counts them together. Registering its key again gives the same account. */
  async #accountKey(make: () => Promise<Buffer>): Promise<Buffer> {
    const path = join(this.#settings.directory, 'account.key');
    try {
      return await readFile(path);
    } catch (error) {
      if (!hasErrorCode(error, 'ENOENT')) throw error;
      const key = await make();
      await writeFileAtomic(path, key, 0o600);
      return key;
    }
  }
}
