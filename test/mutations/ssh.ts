/** Faults of the SSH gateway. */
import type { Mutation } from './mutation.ts';

const gatewayTest = 'src/ssh/gateway.test.ts';
const certificatesTest = 'src/ssh/certificates.test.ts';
const certificate = 'src/core/ssh/certificate.ts';

export const sshMutations: readonly Mutation[] = [
  {
    fault: 'clients that have not authenticated are not limited',
    guarantee: 'G53',
    file: 'src/ssh/strangers.ts',
    from: 'if (this.#count > this.#limits.strangers) this.#evict();',
    to: '',
    caughtBy: { file: gatewayTest, test: 'a thousand clients that say nothing' },
  },
  {
    fault: 'an address may guess as often as it likes',
    guarantee: 'G53',
    file: 'src/ssh/strangers.ts',
    from: 'if (this.#leftOf(address) < 1) return null;',
    to: '',
    caughtBy: { file: gatewayTest, test: 'an address that guesses too often' },
  },
  {
    fault: 'an SSH connection outlives the API key that it was made with',
    guarantee: 'G53',
    file: 'src/ssh/connection.ts',
    from: 'const watches = [apiKeys.watchEnd(identity.caller, end)];',
    to: 'const watches: (() => void)[] = [() => void apiKeys];',
    caughtBy: { file: gatewayTest, test: 'a revoked API key ends its connections' },
  },
  {
    fault: 'an SSH connection outlives the key of the machine that it was made with',
    guarantee: 'G53',
    file: 'src/core/ssh/machine-key-endings.ts',
    from: 'if (isAffected && this.#watches.has(subject.id))',
    to: 'if (isAffected && this.#watches.size < 0)',
    caughtBy: { file: gatewayTest, test: 'a machine’s own key enters' },
  },
  {
    fault: 'an SSH port that a machine has given up stays taken',
    guarantee: 'G53',
    file: 'src/core/ssh/machine-ports.ts',
    from: "if (before !== null) await tx.allocations.release(hostId, owner, 'tcp_port', before);",
    to: '',
    caughtBy: { file: 'test/crash/network-changes.test.ts', test: 'no SSH port, of a created machine' },
  },
  {
    fault: 'an SSH port that a machine has given up stays open',
    guarantee: 'G53',
    file: 'src/core/ssh/machine-ports.ts',
    from: 'listeners.stop(machineId);',
    to: '',
    caughtBy: { file: 'src/core/ssh/machine-ports.test.ts', test: 'a port is open when the answer comes' },
  },
  {
    fault: 'the public half of a host key loses zero bytes at its beginning',
    guarantee: 'G53',
    file: 'src/ssh/host-key.ts',
    from: "[Buffer.from(x, 'base64url'), Buffer.from(d, 'base64url')]",
    to: "[Buffer.from(x, 'base64url').subarray(/^A[A-P]/.test(x) ? 1 : 0), Buffer.from(d, 'base64url')]",
    caughtBy: { file: certificatesTest, test: 'a private key is what ssh-keygen reads' },
  },
  {
    fault: 'a machine’s own key enters all machines of the tenant',
    guarantee: 'G53',
    file: 'src/core/ssh/authenticator.ts',
    from: 'machineIds: [machineId]',
    to: 'machineIds: null',
    caughtBy: { file: gatewayTest, test: 'a machine’s own key enters' },
  },
  {
    fault: 'a key that may only read opens a shell',
    guarantee: 'G53',
    file: 'src/core/ssh/authenticator.ts',
    from: "checkScope(caller, 'machines:exec');",
    to: "checkScope(caller, 'machines:read');",
    caughtBy: { file: gatewayTest, test: 'a key without the scope' },
  },
  {
    fault: 'certificates do not expire',
    guarantee: 'G53',
    file: certificate,
    from: "if (now >= certificate.validBefore) return 'has expired';",
    to: '',
    caughtBy: { file: certificatesTest, test: 'that has expired is refused' },
  },
  {
    fault: 'a certificate of another authority is good',
    guarantee: 'G53',
    file: certificate,
    from: "if (!authority.blob.equals(this.publicKey.blob)) return 'is of another authority';",
    to: '',
    caughtBy: { file: certificatesTest, test: 'of another authority is refused' },
  },
  {
    fault: 'what a certificate demands is ignored',
    guarantee: 'G53',
    file: certificate,
    from: 'if (option !== undefined) return',
    to: "if (option === 'never') return",
    caughtBy: {
      file: certificatesTest,
      test: "that demands 'force-command', which is not supported is refused",
    },
  },
];
