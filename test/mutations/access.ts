/** Faults of the HTTP server, and of what callers may see and do. */
import type { Mutation } from './mutation.ts';

const service = 'src/core/machines/service.ts';
const accessTest = 'src/http/access.test.ts';

export const accessMutations: readonly Mutation[] = [
  {
    fault: 'a console is shown to every tenant',
    guarantee: 'G12',
    file: service,
    from: 'const machine = await this.get(tenant, idOrName);\n    this.#operations.requireHere(machine);\n    return this.#consoles.open',
    to: 'const machine = (await this.#deps.store.machines.get(idOrName)) ?? (await this.get(tenant, idOrName));\n    return this.#consoles.open',
    caughtBy: { file: 'test/contract/tenants.test.ts', test: 'onsole: not found' },
  },
  {
    fault: 'the headers of a request that fails are logged',
    guarantee: 'G19',
    file: 'src/http/app.ts',
    from: 'deps.log.error({ requestId,',
    to: 'deps.log.error({ headers: c.req.header(), requestId,',
    caughtBy: { file: 'test/security/leaked-keys.test.ts', test: 'a handler that throws' },
  },
  {
    fault: 'a key that was revoked while its body came still acts',
    guarantee: 'G13',
    file: 'src/http/access.ts',
    from: '  await session.identify();\n}',
    to: '}',
    caughtBy: { file: accessTest, test: 'a key revoked while the body arrives' },
  },
  {
    fault: 'scopes are not checked',
    guarantee: 'G12',
    file: 'src/http/access.ts',
    from: 'if (access.scope !== null) checkScope',
    to: 'if (access.scope === undefined) checkScope',
    caughtBy: { file: accessTest, test: 'is refused before its body' },
  },
  {
    fault: 'every tenant may import files of the host',
    guarantee: 'G12',
    file: 'src/core/images/service.ts',
    from: "if (source.kind !== 'stream') {",
    to: 'if (source.kind === undefined) {',
    caughtBy: { file: 'src/http/native/images/images.test.ts', test: 'files of the host and shared images' },
  },
  {
    fault: 'an older copy of the database passes for the newest',
    guarantee: 'G21',
    file: 'src/core/hosts/identity.ts',
    from: 'if (known === undefined || kept <= known) continue;',
    to: 'if (known !== kept - 99) continue;',
    caughtBy: { file: 'src/core/hosts/identity.test.ts', test: 'an older copy of the same daemon' },
  },
  {
    fault: 'a VMM that nobody knows is ended whoever began it',
    guarantee: 'G21',
    file: 'src/core/reconcile/plan.ts',
    from: 'if (hostId === observed.hostId) repairs.push',
    to: 'if (hostId !== undefined) repairs.push',
    caughtBy: {
      file: 'src/core/reconcile/plan.test.ts',
      test: 'does not end a VMM started by a daemon of host',
    },
  },
];
