/** All deliberate faults. A fault that the tests should have caught, but did not, becomes a new entry. */
import { accessMutations } from './access.ts';
import { coreMutations } from './core.ts';
import { edgeMutations } from './edges.ts';
import { hatchMutations } from './hatch.ts';
import type { Mutation } from './mutation.ts';
import { networkMutations } from './network.ts';
import { portMutations } from './ports.ts';
import { proxyMutations } from './proxy.ts';
import { snapshotMutations } from './snapshots.ts';
import { sshMutations } from './ssh.ts';
import { websocketMutations } from './websocket.ts';

export const mutations: readonly Mutation[] = [
  ...coreMutations,
  ...edgeMutations,
  ...accessMutations,
  ...hatchMutations,
  ...networkMutations,
  ...portMutations,
  ...proxyMutations,
  ...snapshotMutations,
  ...sshMutations,
  ...websocketMutations,
];
