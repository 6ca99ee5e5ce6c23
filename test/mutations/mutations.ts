/** Every deliberate fault. A fault that a test should have caught and did not becomes one more entry. */
import { accessMutations } from './access.ts';
import { coreMutations } from './core.ts';
import { edgeMutations } from './edges.ts';
import type { Mutation } from './mutation.ts';

export const mutations: readonly Mutation[] = [...coreMutations, ...edgeMutations, ...accessMutations];
