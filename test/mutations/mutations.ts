/** All deliberate faults. A fault that the tests should have caught, but did not, becomes a new entry. */
import { accessMutations } from './access.ts';
import { coreMutations } from './core.ts';
import { edgeMutations } from './edges.ts';
import type { Mutation } from './mutation.ts';

export const mutations: readonly Mutation[] = [...coreMutations, ...edgeMutations, ...accessMutations];
