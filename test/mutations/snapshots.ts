/** Faults of snapshots, and of the machines that are made from them. */
import type { Mutation } from './mutation.ts';

const service = 'src/core/snapshots/service.test.ts';
const files = 'src/storage/snapshots/files.ts';

export const snapshotMutations: readonly Mutation[] = [
  {
    fault: 'a fork keeps the identity and the random numbers of its origin',
    guarantee: 'G64',
    file: 'src/core/machines/steps/ready.ts',
    from: 'if (previous && isForkOf(context.operation)) {',
    to: 'if (false) {',
    caughtBy: { file: service, test: 'its first start restores it with names of its own' },
  },
  {
    fault: 'memory is saved of a guest that cannot become another machine',
    guarantee: 'G64',
    file: 'src/core/machines/steps/suspend.ts',
    from: 'needed.every((feature) => features.includes(feature))',
    to: "features.includes('rekey')",
    caughtBy: { file: service, test: 'memory is saved only if its guest could become another machine' },
  },
  {
    fault: 'a changed byte in a file of a snapshot is not noticed',
    guarantee: 'G64',
    file: files,
    from: 'found.bytes !== listed.bytes || found.digest !== listed.digest',
    to: 'found.bytes !== listed.bytes',
    caughtBy: { file: 'src/storage/snapshots/files.test.ts', test: 'one changed byte of' },
  },
  {
    fault: 'Hatch leaves a VM suspended of which no snapshot could be made',
    guarantee: 'G64',
    file: 'src/http/dialects/hatch/service.ts',
    from: 'await this.#machines.start(tenant, machine.id, { isIdempotent: true }).catch(',
    to: 'await Promise.resolve().catch(',
    caughtBy: {
      file: 'src/http/dialects/hatch/vms.test.ts',
      test: 'that cannot be made leaves the VM running',
    },
  },
];
