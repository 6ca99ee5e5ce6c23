/** Where the SSH gateway is, as OpenSSH's programs are told. */
import { generateKeyPairSync } from 'node:crypto';

/** Under this name its host key is known, whatever its address and port are. */
export const gatewayAlias = 'flotilla-gateway';

/** The host of the daemon's address. */
export function gatewayHost(url: string): string {
  const { hostname } = new URL(url);
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

/** A public key whose private half nobody has: for asking where the gateway is. */
export function nobodysPublicKey(): string {
  const { x = '' } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' });
  const parts = [Buffer.from('ssh-ed25519'), Buffer.from(x, 'base64url')].flatMap((part) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(part.length);
    return [length, part];
  });
  return `ssh-ed25519 ${Buffer.concat(parts).toString('base64')}`;
}
