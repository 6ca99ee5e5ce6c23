/**
 * Answers the attempts of one client to authenticate. A client learns only whether an attempt was accepted: unknown machines
 * are refused later, by the session, and only to those who have proved who they are.
 */
import type { AuthContext, PublicKeyAuthContext } from 'ssh2';
import type { SshAuthenticator, SshIdentity } from '../core/ssh/authenticator.ts';
import { isCertificateType } from '../core/ssh/certificate.ts';
import { isSignedBy, isValueSignedBy } from '../core/ssh/public-key.ts';
import type { Logger } from '../lib/log.ts';

const methods = ['publickey', 'password'] as const;
/** With an agent, a client offers all its keys. */
export const attemptsMax = 12;
/** Longer ones are no API keys. */
const passwordCharactersMax = 256;

export type Attempt =
  | { readonly verdict: 'accepted'; readonly identity: SshIdentity }
  /** A key that is known; the client is to sign with it. */
  | { readonly verdict: 'known' }
  /** `isGuess`: a wrong secret or signature, unlike a key that was merely offered. */
  | { readonly verdict: 'refused'; readonly isGuess: boolean; readonly reason: string };

/** Judges an attempt. Rejects when the store fails, for example. */
export async function judge(
  context: AuthContext,
  authenticator: SshAuthenticator,
  machine: string,
): Promise<Attempt> {
  switch (context.method) {
    case 'none':
      return accepted(await authenticator.withApiKey(null));
    case 'password':
      if (context.password.length > passwordCharactersMax) return guess('the password is no API key');
      return accepted(await authenticator.withApiKey(context.password));
    case 'publickey':
      return judgeKey(context, authenticator, machine);
    default:
      return { verdict: 'refused', isGuess: false, reason: `method ${context.method}` };
  }
}

async function judgeKey(
  context: PublicKeyAuthContext,
  authenticator: SshAuthenticator,
  machine: string,
): Promise<Attempt> {
  const { algo, data } = context.key;
  const isCertificate = isCertificateType(algo);
  const { key, identity } = await (isCertificate
    ? authenticator.withCertificate(data, machine)
    : authenticator.withKey(data, machine));
  const { signature, blob } = context;
  if (signature === undefined || blob === undefined) return { verdict: 'known' };
  // ssh2 leaves a certificate's signature as it came.
  const isGood = isCertificate
    ? isSignedBy(key, blob, signature)
    : isValueSignedBy(key, hashedAlgorithm(context), blob, signature);
  return isGood ? accepted(identity) : guess('the signature is wrong');
}

/** ssh2 replaces the algorithm's name by the key's type. */
function hashedAlgorithm({ key, hashAlgo }: PublicKeyAuthContext): string {
  return hashAlgo === undefined ? key.algo : `rsa-sha2-${hashAlgo.slice('sha'.length)}`;
}

function accepted(identity: SshIdentity): Attempt {
  return { verdict: 'accepted', identity };
}

function guess(reason: string): Attempt {
  return { verdict: 'refused', isGuess: true, reason };
}

/** Refuses an attempt, and says nothing about why. */
export function refuse(context: AuthContext, log: Logger, address: string, reason: string): void {
  log.debug({ method: context.method, address, reason }, 'SSH attempt refused');
  context.reject([...methods]);
}
